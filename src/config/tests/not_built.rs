//! What this version refuses in `processors.toml`, and that mistakes in it are found all the same.

use super::bad_registry::{GOOD, check, read};

const NOT_BUILT: &str = "not built yet in this version:";

#[test]
fn transports() {
    let refused = format!("transport: {NOT_BUILT} only the transport kafka is");
    let cases = [
        ("'kafka'", "transport: expected a table, found text".to_owned()),
        ("{}", "transport.type: missing".into()),
        (
            "{ type = 'carrier-pigeon', ring = 7 }",
            "transport.type: expected one of: kafka, webhook, opendsr, vendor, manual".into(),
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
            "{ type = 'webhook', url = 'https://a/b', secret = 'env:S', timeout = '15s' }",
            refused.clone(),
        ),
        (
            "{ type = 'webhook', url = 'ftp://a', secret = 'env:', timeout = '0s' }",
            format!(
                "{refused}\ntransport.secret: expected the name of an environment variable after env:\ntransport.timeout: expected a duration longer than zero\ntransport.url: expected http:// or https:// with a host, and without a password"
            ),
        ),
        (
            "{ type = 'webhook' }",
            format!("{refused}\ntransport.secret: missing\ntransport.url: missing"),
        ),
        (
            "{ type = 'webhook', url = 'https://u:hunter2@a', secret = 's' }",
            format!(
                "{refused}\ntransport.url: expected http:// or https:// with a host, and without a password"
            ),
        ),
        (
            "{ type = 'opendsr', url = 'https://a', version = '2.0', poll = '1h', processor_domain = 'a', ca = 'ca.pem', auth = { type = 'basic', username = 'u', password = 'env:P' } }",
            refused.clone(),
        ),
        (
            "{ type = 'opendsr', url = 'https://a', version = '1.0' }",
            format!("{}\ntransport.version: expected one of: 2.0", refused),
        ),
        (
            "{ type = 'opendsr', url = 'https://a', auth = { type = 'basic', token = 't' } }",
            format!(
                "{}\ntransport.auth.password: missing\ntransport.auth.token: unknown key; known here: password, type, username\ntransport.auth.username: missing",
                refused
            ),
        ),
        (
            "{ type = 'opendsr', url = 'https://a', auth = { type = 'kerberos', realm = 'r' } }",
            format!(
                "{}\ntransport.auth.type: expected one of: none, basic, bearer, header",
                refused
            ),
        ),
        (
            "{ type = 'vendor', connector = 'acme', region = 'eu', depth = { a = 1 } }",
            refused.clone(),
        ),
        (
            "{ type = 'vendor' }",
            format!("{}\ntransport.connector: missing", refused),
        ),
        ("{ type = 'manual', assignee = 'desk' }", refused.clone()),
        (
            "{ type = 'manual', assigne = 'desk' }",
            format!(
                "{}\ntransport.assigne: unknown key; did you mean \"assignee\"?\ntransport.assignee: missing",
                refused
            ),
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
    let rate = format!("rate: {NOT_BUILT} tasks would be sent as fast as they come");
    let bad_rate = format!(
        "rate: expected a number of at least 1 per second, minute or hour, such as 50/s, 50/m or 50/h\n{rate}"
    );
    let verify = format!("verify: {NOT_BUILT} nobody would look a second time");
    let sweep = format!("sweep: {NOT_BUILT} late data would not be erased");
    let backup = format!("backup: {NOT_BUILT} no task would wait for the backup's horizon");
    let retention =
        format!("retention: {NOT_BUILT} no category would be kept: everything would be erased at once");
    check(&[
        (
            "provides = ['customer_id']",
            &format!("provides: {NOT_BUILT} identities that an ack brings would not be passed on"),
        ),
        (
            "provides = ['A']",
            &format!(
                "provides: {NOT_BUILT} identities that an ack brings would not be passed on\nprovides[0]: an identity type must match [a-z0-9_]{{1,64}}"
            ),
        ),
        ("provides = 1", "provides: expected a list, found an integer"),
        (
            "idempotent = false",
            &format!(
                "idempotent: {NOT_BUILT} a task may be sent twice without a look in between; only true is possible"
            ),
        ),
        ("rate = '50/s'", &rate),
        ("rate = '50'", &bad_rate),
        ("rate = '0/s'", &bad_rate),
        ("rate = '+1/s'", &bad_rate),
        ("rate = '1/d'", &bad_rate),
        ("verify = { after = '7d' }", &verify),
        ("verify = {}", &format!("{verify}\nverify.after: missing")),
        (
            "sweep = { after = 'later' }",
            &format!("{sweep}\nsweep.after: expected a duration such as 30s, 24h, 14d or 1y6mo"),
        ),
        (
            "sweep = '24h'",
            &format!("sweep: expected a table, found text\n{sweep}"),
        ),
        (
            "backup = { sources = ['hosting'], set = 'n', keep = '35d', confirm_by = 'event' }",
            &format!("{backup}\nbackup.sources[0]: there is no processor \"hosting\""),
        ),
        (
            "backup = { sources = ['crm'], set = 'n', keep = '35d' }",
            &format!("{backup}\nbackup.sources[0]: a backup is no source of itself"),
        ),
        (
            "backup = { sources = [], set = 'n', keep = '0d' }",
            &format!(
                "{backup}\nbackup.keep: expected a duration longer than zero\nbackup.sources: expected at least one element"
            ),
        ),
        (
            "backup = { confirm_by = 'hope', overdue_after = 48, erase_by = 'fire', key = 1 }",
            &format!(
                "{backup}\nbackup.confirm_by: expected one of: event, ack, schedule\nbackup.erase_by: expected one of: key\nbackup.keep: missing\nbackup.key: unknown key; known here: confirm_by, erase_by, keep, overdue_after, set, sources\nbackup.overdue_after: expected text, found an integer\nbackup.set: missing\nbackup.sources: missing"
            ),
        ),
        (
            "retention = [{ categories = ['invoices'], basis = 'tax_law', keep = '5y', then = 'erase', from = 'account_closed_at' }]",
            &retention,
        ),
        (
            "retention = [{ categories = [], basis = 'a b', keep = 'ever', then = 'keep', from = 'A' }]",
            &format!(
                "{retention}\nretention[0].basis: a category, purpose or region must match [A-Za-z0-9._-]{{1,64}}\nretention[0].categories: expected at least one element\nretention[0].from: an anchor must match [a-z0-9_]{{1,64}}\nretention[0].keep: expected a duration such as 30s, 24h, 14d or 1y6mo\nretention[0].then: expected one of: erase, anonymize"
            ),
        ),
        (
            "retention = [{}]",
            &format!(
                "{retention}\nretention[0].basis: missing\nretention[0].categories: missing\nretention[0].keep: missing"
            ),
        ),
        (
            "retention = [{ categories = ['a'], basis = 'b', keep = '1y' }, { categories = ['a'], basis = 'b', keep = '2y' }]",
            &format!("{retention}\nretention[1].categories: another rule keeps \"a\": which one holds?"),
        ),
    ]);
    let text = format!(
        "{GOOD}categories = ['a']\n[[processor.retention]]\ncategories = ['b']\nbasis = 'b'\nkeep = '1y'\n"
    );
    let expected = format!(
        "processors.toml:8: processor \"crm\": {retention}\n\
         processors.toml:9: processor \"crm\": retention[0].categories: \"b\" is none of the processor's categories"
    );
    assert_eq!(read(&text), expected);
}
