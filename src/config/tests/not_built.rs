//! What this version refuses in `processors.toml`, and that mistakes in it are found all the same.

use super::bad_registry::{GOOD, check, read};

const NOT_BUILT: &str = "not built yet in this version:";

#[test]
fn transports() {
    let refused = format!("transport: {NOT_BUILT} kafka, webhook, opendsr, manual and agent are");
    let cases = [
        ("'kafka'", "transport: expected a table, found text".to_owned()),
        ("{}", "transport.type: missing".into()),
        (
            "{ type = 'carrier-pigeon', ring = 7 }",
            "transport.type: expected one of: kafka, webhook, opendsr, vendor, manual, agent".into(),
        ),
        (
            "{ type = 'kafka', topic = 'a b' }",
            "transport.topic: expected a topic's name: [a-zA-Z0-9._-]{1,249}".into(),
        ),
        (
            "{ type = 'kafka', url = 'a' }",
            "transport.url: unknown key; known here: topic, type".into(),
        ),
        (
            "{ type = 'agent', url = 'https://agent.example' }",
            "transport.url: unknown key; known here: type".into(),
        ),
        (
            "{ type = 'vendor', connector = 'acme', region = 'eu', depth = { a = 1 } }",
            refused.clone(),
        ),
        (
            "{ type = 'vendor' }",
            format!("{}\ntransport.connector: missing", refused),
        ),
        (
            "{ type = 'manual', assigne = 'desk' }",
            "transport.assigne: unknown key; did you mean \"assignee\"?\ntransport.assignee: missing".into(),
        ),
        (
            "{ type = 'manual', assignee = ' ', due = '0d', confirm_by_two = 2 }",
            "transport.assignee: expected a text that is not empty\ntransport.confirm_by_two: expected true or false, found an \
             integer\ntransport.due: expected a duration longer than zero"
                .into(),
        ),
    ];
    for (transport, expected) in cases {
        let text = GOOD.replace("{ type = 'kafka' }", transport);
        let expected: Vec<String> = expected
            .lines()
            .map(|e| format!("processors.toml:4: processor \"crm\": {e}"))
            .collect();
        assert_eq!(read(&text), expected.join("\n"), "{transport}");
    }
}

#[test]
fn what_is_not_built_is_refused_and_still_checked() {
    let bad_rate =
        "rate: expected a number of at least 1 per second, minute or hour, such as 50/s, 50/m or 50/h";
    check(&[
        (
            "provides = ['A']",
            "provides[0]: an identity type must match [a-z0-9_]{1,64}",
        ),
        ("provides = 1", "provides: expected a list, found an integer"),
        ("rate = '50/s'", ""),
        ("rate = '50'", bad_rate),
        ("rate = '0/s'", bad_rate),
        ("rate = '+1/s'", bad_rate),
        ("rate = '1/d'", bad_rate),
    ]);
}
