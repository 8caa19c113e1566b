use super::*;

fn has(text: &str, name: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with(&format!("lacuna_{name} ")))
}

#[test]
fn gauges_that_were_never_read_are_not_shown_as_zero() {
    let metrics = Metrics::new().unwrap();
    let text = metrics.text().unwrap();
    assert!(
        !has(&text, "requests_overdue") && !has(&text, "oldest_open_request_seconds"),
        "{text}"
    );
    assert!(
        has(&text, "registry_mismatch"),
        "what does not come from the store is there: {text}"
    );
    metrics.show(GaugeGroup::OldestOpen, || metrics.oldest_open.set(7));
    let text = metrics.text().unwrap();
    assert!(text.contains("lacuna_oldest_open_request_seconds 7\n"), "{text}");
    assert!(!has(&text, "requests_overdue"), "{text}");
    for group in GaugeGroup::ALL {
        let age = format!("lacuna_gauges_age_seconds{{gauge=\"{}\"}} 0", group.as_str());
        assert!(text.contains(&age), "{text}");
    }
}

#[test]
fn every_gauge_of_a_group_is_a_metric() {
    let metrics = Metrics::new().unwrap();
    for (n, group) in GaugeGroup::ALL.into_iter().enumerate() {
        assert_eq!(group as usize, n);
        for name in group.metrics() {
            // A second one of the same name is refused.
            let twin = IntGauge::with_opts(Opts::new(*name, "twin")).unwrap();
            let refused = metrics.registry.register(Box::new(twin));
            let labelled = IntGaugeVec::new(Opts::new(*name, "twin"), &["twin"]).unwrap();
            let too = metrics.registry.register(Box::new(labelled));
            assert!(refused.is_err() && too.is_err(), "{name}");
        }
    }
}
