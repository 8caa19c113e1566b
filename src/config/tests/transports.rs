//! Transports in `processors.toml`, and the mistakes in them.

use std::time::Duration;

use super::bad_registry::{GOOD, check, read};
use crate::{
    config::registry_file,
    domain::{
        calendar::Period,
        registry::{Processor, Transport},
    },
};

#[test]
fn transports() {
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
            "{ type = 'vendor', connector = 'acme', region = 'eu' }",
            "transport.connector: there is no connector \"acme\"; `lacuna connectors list` lists those that there are".into(),
        ),
        (
            "{ type = 'vendor', connector = 'hubspott' }",
            "transport.connector: there is no connector \"hubspott\"; did you mean hubspot?".into(),
        ),
        (
            "{ type = 'vendor', connector = 'hubspot' }",
            "transport.connector: missing setting token: the access token of a private app with crm.objects.contacts.read and \
             .write"
                .into(),
        ),
        (
            "{ type = 'vendor', connector = 'hubspot', token = 'env:T', tokn = 'x', poll = '1h' }",
            "transport.poll: this connector asks for no status\ntransport.tokn: the connector has no such setting; did you mean \
             token?"
                .into(),
        ),
        ("{ type = 'vendor' }", "transport.connector: missing".into()),
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
fn rates_and_provided_types_are_checked() {
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

fn vendor(keys: &str) -> Result<Processor, String> {
    let text = format!(
        "[[processor]]\nid = 'v'\nkind = 'other'\nactions = ['erase']\ntransport = {{ type = 'vendor', {keys} }}\n"
    );
    let registry = registry_file::read_text("processors.toml", &text);
    registry
        .map(|mut registry| registry.processors.remove(0))
        .map_err(|problems| problems.to_string())
}

#[test]
fn a_vendor_brings_its_term_its_poll_and_its_room() {
    let keys = "connector = 'hubspot', token = 'env:T' }\nidentities = ['email'] #";
    let hubspot = vendor(keys).unwrap();
    let term = hubspot.completes_by.unwrap();
    assert_eq!((term.after, term.probe), (Period::days(30), true));
    assert_eq!(hubspot.concurrency, 8);
    let keys =
        "connector = 'braze', cluster = 'fra-01.braze.eu', api_key = 'env:T' }\nidentities = ['user_id'] #";
    assert_eq!(vendor(keys).unwrap().concurrency, 400, "eight calls of fifty");
    let keys = "connector = 'segment', token = 'env:T' }\nidentities = ['user_id'] #";
    let Transport::Vendor(segment) = vendor(keys).unwrap().transport else {
        panic!("a vendor");
    };
    assert_eq!(segment.poll, Some(Duration::from_secs(6 * 3600)));
    assert_eq!(
        segment.settings.len(),
        3,
        "defaults are pinned: {:?}",
        segment.settings
    );
}

#[test]
fn what_a_vendor_cannot_do_is_refused() {
    for (keys, says) in [
        (
            "connector = 'hubspot', token = 'env:T' }\nidentities = ['phone'] #",
            "\"phone\" is not taken by HubSpot, which takes: email, hubspot_contact_id",
        ),
        (
            "connector = 'sendgrid', api_key = 'env:T' }\nidentities = ['email']\nverify = { after = '7d' } #",
            "verify: this connector cannot ask whether a person is still there",
        ),
        (
            "connector = 'sendgrid', api_key = 'env:T', host = 'evil.test' }\nidentities = ['email'] #",
            "transport.host: expected one of: api.sendgrid.com, api.eu.sendgrid.com",
        ),
        (
            "connector = 'sendgrid', api_key = 'env:T' }\nidentities = ['email']\ncategories = ['mail', 'invoices']\nretention = \
             [{ categories = ['invoices'], basis = 'tax_law', keep = '1y', then = 'erase' }] #",
            "retention: a connector erases all of a person",
        ),
    ] {
        let found = vendor(keys).unwrap_err();
        assert!(found.contains(says), "{keys}: {found}");
    }
}
