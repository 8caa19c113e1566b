//! Every example of every connector that the program brings along, against an imitation that answers as it says.

use super::{
    super::notes::Notes as _,
    imitation::{Imitation, Said},
    site::{Site, shipped, task, word},
};
use crate::{
    clock::Clock,
    config::connectors,
    connector::{
        Connector,
        example::{Asks, Example},
    },
    domain::{calendar::Regime, ids::Tenant},
    engine::{accepted::AskedAbout, effects::TaskDispatch},
};

#[test]
fn every_shipped_connector_is_without_mistakes() {
    let ids: Vec<&str> = connectors::shipped().collect();
    assert_eq!(ids.len(), 20);
    for id in ids {
        let connector = shipped(id);
        assert_eq!(connector.id, id);
        assert!(!connector.facts.is_empty(), "{id}: it rests on something");
        let sourced = |fact: &&crate::connector::language::Fact| fact.source.is_some();
        assert!(
            connector.facts.iter().any(|fact| sourced(&fact)),
            "{id}: it has a source"
        );
        assert!(
            connector.examples.len() >= 3,
            "{id}: {} examples",
            connector.examples.len()
        );
    }
}

#[test]
fn every_example_comes_to_what_it_says() {
    for id in connectors::shipped() {
        let connector = shipped(id);
        for example in &connector.examples {
            if let Err(differs) = example.play(&connector) {
                panic!("{id}: {}: {differs}", example.name);
            }
        }
    }
}

#[tokio::test]
async fn every_example_comes_to_the_same_over_http() {
    for id in connectors::shipped() {
        let connector = shipped(id);
        for example in &connector.examples {
            let answers = example.answers.iter().map(said).collect();
            let site = Site::of(&connector, Imitation::in_order(answers).await);
            let came_to = over_http(&site, &connector, example).await;
            let expected = match example.comes_to.as_str() {
                "retry" => "failed",
                other => other,
            };
            assert_eq!(came_to, expected, "{id}: {}", example.name);
            let called: Vec<String> = site.vendor.seen().into_iter().map(|seen| seen.method).collect();
            let methods: Vec<&str> = example
                .answers
                .iter()
                .filter_map(|answer| connector.steps.iter().find(|step| step.id == answer.step))
                .map(|step| step.method.as_str())
                .collect();
            assert_eq!(called, methods, "{id}: {}", example.name);
            for seen in site.vendor.seen() {
                assert!(
                    !seen.path.contains('{') && !seen.body.contains("{id"),
                    "{id}: {seen:?}"
                );
            }
        }
    }
}

fn said(answer: &crate::connector::example::Canned) -> Said {
    let said = Said {
        text: answer.text.clone(),
        ..super::imitation::said(answer.status, answer.body.clone())
    };
    match &answer.canonical {
        Some(id) => said.with(
            "link",
            &format!("<https://vendor.test/x/{id}>; rel=\"canonical\""),
        ),
        None => said,
    }
}

async fn over_http(site: &Site, connector: &Connector, example: &Example) -> &'static str {
    match example.asks {
        Asks::Erase => {
            let identities: Vec<(&str, &str)> = example
                .identities
                .iter()
                .map(|(kind, value)| (kind.as_str(), value.as_str()))
                .collect();
            let mut task = task(&identities);
            if !example.kept.is_empty() {
                task.attempt = 2;
                let of = (task.request(), task.id);
                site.notes.write(&[(of, example.kept(connector))]).await.unwrap();
            }
            word(&site.send(&task).await)
        }
        Asks::Probe => {
            let mut processor = site.processor.clone();
            processor.identities = example.identities.keys().cloned().collect();
            let (tenant, regime) = (Tenant::new("acme").unwrap(), Regime::parse("gdpr").unwrap());
            let mut task = TaskDispatch::of_nobody(&processor, &tenant, &regime, Clock::System.now());
            if !example.kept.is_empty() {
                task.attempt = 2;
                let of = (task.request(), task.id);
                site.notes.write(&[(of, example.kept(connector))]).await.unwrap();
            }
            word(&site.send(&task).await)
        }
        Asks::Poll => {
            let about = AskedAbout::for_tests("vendor");
            let of = (about.request, about.task);
            site.notes.write(&[(of, example.kept(connector))]).await.unwrap();
            let (_, heard) = site.sender.ask(&site.processor, vec![about]).await.remove(0);
            match heard {
                Ok(None) => "pending",
                Ok(Some(ack)) => ack.answer.outcome().as_str(),
                Err(_) => "failed",
            }
        }
    }
}
