//! Dead letters of sources, redriven through the real binary: the command goes where commands are read, and the upstream's topic
//! is left alone.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};

use super::{
    kafka::{Publisher, Reader, admin, read_all},
    sources::Shop,
};
use crate::support::{StoreKind, wait_for};

const LONG: Duration = Duration::from_secs(90);

/// A mapping without a `command_id`: the place of an event is its name.
fn keys(pointer: &str) -> String {
    format!(
        "when = {{ \"/type\" = \"account.deleted\" }}\ncommand = {{ type = \"erase\" }}\n\
         map = {{ \"identity.customer_id\" = \"{pointer}\" }}"
    )
}

fn event(customer: usize) -> String {
    json!({ "type": "account.deleted", "customer": customer }).to_string()
}

fn letters(shop: &Shop, count: usize) -> Vec<String> {
    wait_for(&format!("{count} dead letters"), LONG, || {
        let listed = shop.deployment.lacuna_ok(&["dead-letters", "list", "--json"]);
        let ids = listed.lines().map(|line| {
            let letter: Value = serde_json::from_str(line).unwrap();
            letter["id"].as_str().unwrap().to_owned()
        });
        Some(ids.collect::<Vec<_>>()).filter(|ids| ids.len() == count)
    })
}

/// On a compacted topic, where a record without its key would not be taken, and one with it would take the place of what its
/// upstream has written since.
#[test]
fn redriven_event_is_a_command_and_its_topic_is_left_alone() {
    let shop = Shop::new(StoreKind::Sqlite, 1, "json", &keys("/wrong"));
    let compacted = rdkafka::admin::AlterConfig::new(rdkafka::admin::ResourceSpecifier::Topic(&shop.topic))
        .set("cleanup.policy", "compact");
    let compacted = [compacted];
    let changed = admin();
    let changing = changed.alter_configs(&compacted, &rdkafka::admin::AdminOptions::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(changing).unwrap()[0].as_ref().unwrap();
    let worker = shop.deployment.serve();
    let publisher = Publisher::new();
    for customer in 1..=3 {
        publisher.publish(
            &shop.topic,
            Some(&customer.to_string()),
            event(customer).as_bytes(),
        );
    }
    publisher.flush();
    let ids = letters(&shop, 3);
    // Nothing is mended yet: it stays open, and whoever redrives is told why.
    let tried = shop.deployment.lacuna(&["dead-letters", "redrive", &ids[0]]);
    let said = String::from_utf8(tried.stderr).unwrap();
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(
        said.contains(
            "source \"shop\" still cannot map it: no identity of the subject: there is nothing at /wrong"
        ),
        "{said}"
    );
    letters(&shop, 3);
    worker.stop();
    shop.configure("json", &keys("/customer"));
    let worker = shop.deployment.serve();
    // Through the API and from the shell, at once: whoever comes second publishes the same command, or finds it done.
    let shells: Vec<_> = (0..3)
        .map(|_| {
            let all = [
                &["dead-letters", "redrive"][..],
                &ids.iter().map(String::as_str).collect::<Vec<_>>(),
            ]
            .concat();
            let mut shell = shop.deployment.command(&all);
            let shell = shell
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            shell.spawn().unwrap()
        })
        .collect();
    let said: Vec<String> = shells
        .into_iter()
        .map(|shell| String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    let commands = shop.deployment.topic("commands");
    assert!(said.concat().contains(&format!(" {commands}/")), "{said:?}");
    shop.wait_for_requests(3);
    letters(&shop, 0);
    assert_eq!(
        Reader::new(&shop.topic).len(),
        3,
        "nobody has written the upstream's topic"
    );
    let published = read_all(&commands);
    assert!(published.len() >= 3);
    wait_for("all of them are read", LONG, || {
        let read: f64 = ["accepted", "duplicate"]
            .iter()
            .filter_map(|result| {
                let series = format!("lacuna_commands_total{{result=\"{result}\",type=\"erase\"}}");
                shop.deployment.metric(&series)
            })
            .sum();
        (read >= published.len() as f64).then_some(())
    });
    assert_eq!(shop.requests(), 3);
    worker.stop();
}

#[test]
fn letter_of_a_source_that_was_removed_is_not_lost() {
    let shop = Shop::new(StoreKind::Sqlite, 1, "json", &keys("/wrong"));
    let with_source = std::fs::read_to_string(shop.deployment.path("lacuna.toml")).unwrap();
    let worker = shop.deployment.serve();
    let publisher = Publisher::new();
    publisher.publish(&shop.topic, None, event(1).as_bytes());
    publisher.flush();
    let ids = letters(&shop, 1);
    worker.stop();
    let commands = shop.deployment.topic("commands");
    let worker = shop.deployment.serve();
    publisher.publish(&commands, Some("k-1"), b"{");
    publisher.flush();
    let both = letters(&shop, 2);
    let broken = both.iter().find(|id| **id != ids[0]).unwrap();
    shop.deployment.lacuna_ok(&["dead-letters", "redrive", broken]);
    let published = wait_for("it is published again", LONG, || {
        Some(read_all(&commands)).filter(|records| records.len() == 2)
    });
    assert!(
        published
            .iter()
            .all(|record| record.key.as_deref() == Some(&b"k-1"[..])),
        "a message of ours goes back with its key"
    );
    worker.stop();
    let (without, _) = with_source.split_once("[[source]]").unwrap();
    shop.deployment.write("lacuna.toml", without);
    let tried = shop.deployment.lacuna(&["dead-letters", "redrive", &ids[0]]);
    let said = String::from_utf8(tried.stderr).unwrap();
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("nothing reads topic {} any more", shop.topic)),
        "{said}"
    );
    // It is still open, and goes once its source is back.
    shop.configure("json", &keys("/customer"));
    let worker = shop.deployment.serve();
    shop.deployment.lacuna_ok(&["dead-letters", "redrive", &ids[0]]);
    shop.wait_for_requests(1);
    worker.stop();
}
