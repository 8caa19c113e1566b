//! The names of regimes.

use super::*;

#[test]
fn stored_regime_reads_back_whatever_the_table_knows() {
    for name in [
        "gdpr",
        "acme_promise_of_2019",
        "days:30",
        "working_days:3650",
        "months:120",
    ] {
        let one = regime(name);
        assert_eq!(one.to_string(), name);
        assert_eq!(serde_json::to_string(&one).unwrap(), format!("{name:?}"));
        assert_eq!(serde_json::from_str::<Regime>(&format!("{name:?}")).unwrap(), one);
        let packed = postcard::to_allocvec(&one).unwrap();
        assert_eq!(packed[1..], *name.as_bytes(), "its length, then its name");
        assert_eq!(postcard::from_bytes::<Regime>(&packed).unwrap(), one);
    }
    let unknown = postcard::to_allocvec("days:0").unwrap();
    assert!(postcard::from_bytes::<Regime>(&unknown).is_err());
}

#[test]
fn what_is_no_regime_is_refused_by_name_and_by_schema() {
    let mut generator = schemars::SchemaGenerator::default();
    let schema = <Regime as schemars::JsonSchema>::json_schema(&mut generator);
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let bad = [
        "",
        "GDPR",
        "gdpr ",
        "days:",
        "days:0",
        "days:+1",
        "days:01",
        "days:3651",
        "days:99999",
        "days:-1",
        "days: 1",
        "days:1:1",
        "working_days:",
        "working_days:0",
        "month:1",
        "months:0",
        "months:121",
        "gdpr:1",
        "a_name_that_is_longer_than_any_law",
    ];
    for text in bad {
        assert_eq!(Regime::parse(text), None, "{text}");
        assert!(!validator.is_valid(&serde_json::json!(text)), "{text}");
    }
    for n in 1..=3650 {
        let text = format!("working_days:{n}");
        assert_eq!(
            Regime::parse(&text),
            Some(Regime::Counted(Length::WorkingDays(n)))
        );
        assert!(validator.is_valid(&serde_json::json!(text)), "{text}");
        let text = format!("months:{n}");
        assert_eq!(Regime::parse(&text).is_some(), n <= 120, "{text}");
        assert_eq!(validator.is_valid(&serde_json::json!(text)), n <= 120, "{text}");
    }
}
