//! Mistakes in the sections of `lacuna.toml`, each with the exact words that a user reads.

use super::{bad_config::check, *};

#[test]
fn kafka() {
    check(&[
        (
            "[kafka]\nbootstrap_servers = ''",
            "2: kafka.bootstrap_servers: expected host:port, several of them separated by commas, or \"embedded\"",
        ),
        (
            "[kafka]\nbootstrap_servers = 'a:1,,b:1'",
            "2: kafka.bootstrap_servers: expected host:port, several of them separated by commas, or \"embedded\"",
        ),
        (
            "[kafka]\nbootstrap_servers = 'a:99999'",
            "2: kafka.bootstrap_servers: expected host:port, several of them separated by commas, or \"embedded\"",
        ),
        (
            "[kafka]\nproperties = { 'enable.auto.commit' = true }",
            "2: kafka.properties.\"enable.auto.commit\": not yours to set: Lacuna commits an offset only after the database has taken the message in",
        ),
        (
            "[kafka.properties]\nenable.auto.offset.store = true",
            "2: kafka.properties.enable.auto.offset.store: not yours to set: Lacuna commits an offset only after the database has taken the message in",
        ),
        (
            "[kafka.properties]\nacks = 1",
            "2: kafka.properties.acks: not yours to set: Lacuna counts a message as sent only when every replica has it, once",
        ),
        (
            "[kafka.properties]\n'enable.idempotence' = false",
            "2: kafka.properties.\"enable.idempotence\": not yours to set: Lacuna counts a message as sent only when every replica has it, once",
        ),
        (
            "[kafka.properties]\n'group.id' = 'a'",
            "2: kafka.properties.\"group.id\": not yours to set: it is kafka.group_id",
        ),
        (
            "[kafka.properties]\n'bootstrap.servers' = 'a'",
            "2: kafka.properties.\"bootstrap.servers\": not yours to set: it is kafka.bootstrap_servers",
        ),
        (
            "[kafka.properties]\n'auto.offset.reset' = 'latest'",
            "2: kafka.properties.\"auto.offset.reset\": not yours to set: Lacuna starts at the earliest message, so that no command is skipped",
        ),
        (
            "[kafka.properties]\nsession.timeout.ms = 30000",
            "2: kafka.properties.session.timeout.ms: not yours to set: it is 0.7 of dispatch.lease, within which the work of a dead worker is taken over; set dispatch.lease",
        ),
        (
            "[kafka.properties]\n'delivery.timeout.ms' = 600000",
            "2: kafka.properties.\"delivery.timeout.ms\": not yours to set: what is not confirmed within 15 s is decided again, so that nothing old is sent under a hold",
        ),
        (
            "[kafka.properties]\n'transactional.id' = 'a'",
            "2: kafka.properties.\"transactional.id\": not yours to set: Lacuna's outputs are no transactions: what was not confirmed is decided again",
        ),
        (
            "[kafka.properties]\n'group.instance.id' = 'a'",
            "2: kafka.properties.\"group.instance.id\": not yours to set: a worker is known by its session, so that another takes over within dispatch.lease",
        ),
        (
            "[kafka.properties]\n'compression.codec' = 'zstd'",
            "2: kafka.properties.\"compression.codec\": not yours to set: it is lz4; a topic's own compression.type is kept by the broker",
        ),
        (
            "[kafka.properties]\n'sasl.pasword' = 'canary'",
            "2: kafka.properties.\"sasl.pasword\": librdkafka knows no such property",
        ),
        (
            "[kafka.properties]\n'security.protocol' = 'canary'",
            "2: kafka.properties.\"security.protocol\": librdkafka does not take this value: Invalid value \"…\" for configuration property \"security.protocol\"",
        ),
        (
            "[kafka.properties]\nssl = []",
            "2: kafka.properties.ssl: expected text, a number or a boolean, found a list",
        ),
        (
            "[kafka.properties]\n'client.rack' = 1\nclient.rack = 2",
            "3: kafka.properties.client.rack: given more than once",
        ),
        (
            "[kafka.properties]\n'sasl.password' = 'env:NONE'",
            "2: kafka.properties.\"sasl.password\": the environment variable NONE is not set",
        ),
        (
            "[kafka.topics]\nacks = ''",
            "2: kafka.topics.acks: expected a topic's name: [a-zA-Z0-9._-]{1,249}",
        ),
        (
            "[kafka.topics]\nacks = '..'",
            "2: kafka.topics.acks: expected a topic's name: [a-zA-Z0-9._-]{1,249}",
        ),
        (
            "[kafka.topics]\nacks = 'ä'",
            "2: kafka.topics.acks: expected a topic's name: [a-zA-Z0-9._-]{1,249}",
        ),
        (
            "[kafka.topics]\ntasks_prefix = ''",
            "2: kafka.topics.tasks_prefix: expected a topic's name: [a-zA-Z0-9._-]{1,186}",
        ),
        (
            "[kafka.topics]\nacks = 'lacuna.commands'",
            "2: kafka.topics.acks: the same topic as commands (Kafka takes . and _ for the same)",
        ),
        (
            "[kafka.topics]\ncommands = 'lacuna_acks'",
            "1: kafka.topics.acks: the same topic as commands (Kafka takes . and _ for the same)",
        ),
        (
            "[kafka.topics]\nsuppression = 'ä'",
            "2: kafka.topics.suppression: expected a topic's name: [a-zA-Z0-9._-]{1,249}",
        ),
        (
            "[kafka.topics]\nsuppression = 1",
            "2: kafka.topics.suppression: expected text, found an integer",
        ),
        (
            "[kafka.topics]\nsuppression = 'lacuna.status'",
            "2: kafka.topics.suppression: the same topic as status (Kafka takes . and _ for the same)",
        ),
        (
            "[kafka.topics]\nstatus = 'lacuna.tasks.status'",
            "2: kafka.topics.status: begins with tasks_prefix: it could be a processor's topic",
        ),
    ]);
}

#[test]
fn store_and_http() {
    check(&[
        (
            "[store]\nurl = 'mysql://a'",
            "2: store.url: expected sqlite:PATH or postgres://user:password@host:port/database",
        ),
        (
            "[store]\nurl = 'sqlite:'",
            "2: store.url: expected sqlite:PATH or postgres://user:password@host:port/database",
        ),
        (
            "[store]\nurl = 'sqlite::memory:'",
            "2: store.url: expected a file: a database in memory would forget its requests",
        ),
        (
            "[store]\nurl = 'sqlite:a?mode=ro'",
            "2: store.url: expected a path without options: Lacuna sets SQLite's own",
        ),
        (
            "[store]\nurl = 'postgres://u:p/w@db/x'",
            "2: store.url: expected postgres://user:password@host:port/database; in user and password / ? # @ : and % have to be percent-encoded",
        ),
        (
            "[store]\nurl = 'env:NONE'",
            "2: store.url: the environment variable NONE is not set",
        ),
        (
            "[http]\nlisten = ':8080'",
            "2: http.listen: expected an address and a port, such as 127.0.0.1:8080 or [::]:8080",
        ),
        (
            "[http]\nlisten = 'example.org:80'",
            "2: http.listen: expected an address and a port, such as 127.0.0.1:8080 or [::]:8080",
        ),
        (
            "[http]\nlisten = '[::]:80'",
            "2: http.listen: expected a loopback address, such as 127.0.0.1:8080: there is no [auth], so everyone who reaches it would have every role",
        ),
        (
            "[http]\ntls = { cert = '/none/c', key = 'src' }",
            "2: http.tls.cert: there is no file /none/c\nlacuna.toml:2: http.tls.key: there is no file src",
        ),
        ("[http.tls]\nkey = 'Cargo.toml'", "1: http.tls.cert: missing"),
    ]);
}

#[test]
fn auth() {
    let token = |rest: &str| format!("auth.tokens = [\n{{ name = 'a', {rest} }}]");
    let cases = [
        (
            "role = 'operator', token = 'env:NONE'",
            "auth.tokens[0].token: the environment variable NONE is not set",
        ),
        (
            "role = 'operator', token = 'env:EMPTY'",
            "auth.tokens[0].token: the environment variable EMPTY is empty, or is no text in UTF-8",
        ),
        (
            "role = 'operator', token = 'env:A-B'",
            "auth.tokens[0].token: expected the name of an environment variable after env:",
        ),
        (
            "role = 'operator', token = 'file:/none'",
            "auth.tokens[0].token: /none cannot be read: there is no such file",
        ),
        (
            "role = 'operator', token = 'sha256:hunter2'",
            "auth.tokens[0].token: expected 64 lowercase hexadecimal digits after sha256:",
        ),
        (
            "role = 'operator', token = ''",
            "auth.tokens[0].token: expected env:NAME, file:PATH, sha256:HEX or the secret itself, found an empty text",
        ),
        (
            "role = 'operator', token = 'hunter 2'",
            "auth.tokens[0].token: expected a token of visible ASCII characters without spaces: it is sent in a header",
        ),
        (
            "role = 'operator', token = 'fifteen-letters'",
            "auth.tokens[0].token: expected a token of 16 characters at least, found a shorter one: `openssl rand -hex 16` makes one",
        ),
        (
            "role = 'operator', token = 'env:SHORT'",
            "auth.tokens[0].token: expected a token of 16 characters at least, found a shorter one: `openssl rand -hex 16` makes one",
        ),
        (
            "role = 'operator', token = 2",
            "auth.tokens[0].token: expected text, found an integer",
        ),
        ("role = 'operator'", "auth.tokens[0].token: missing"),
        ("token = 'sixteen-letters-t'", "auth.tokens[0].role: missing"),
        (
            "role = 'hunter2', token = 'sixteen-letters-t'",
            "auth.tokens[0].role: expected one of: submitter, processor, compliance, operator, auditor",
        ),
        (
            "role = 'processor', token = 'sixteen-letters-t'",
            "auth.tokens[0].processor: missing: the role processor needs the id of the processor",
        ),
        (
            "role = 'processor', processor = 'CRM', token = 'sixteen-letters-t'",
            "auth.tokens[0].processor: a processor id must match [a-z0-9-]{1,63}",
        ),
        (
            "role = 'auditor', processor = 'crm', token = 'sixteen-letters-t'",
            "auth.tokens[0].processor: only a token with the role processor has one",
        ),
        (
            "role = 'auditor', tokens = 't', token = 'sixteen-letters-t'",
            "auth.tokens[0].tokens: unknown key; did you mean \"token\"?",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            lines(config(&token(text))),
            [format!("lacuna.toml:2: {expected}")],
            "{text}"
        );
    }
    let digest = "sha256:1ed1d82d77c086152ea61e8c3b8563fa8fa2a7f90ce18d1228595cdf0910319a";
    let twice = format!(
        "[[auth.tokens]]\nname = 'a'\nrole = 'auditor'\ntoken = 'sixteen-letters-t'\n\
         [[auth.tokens]]\nname = 'b'\nrole = 'operator'\ntoken = '{digest}'"
    );
    let again = "auth.tokens = [\n{ name = 'a', role = 'auditor', token = 'sixteen-letters-s' },\n{ name = 'a', role = 'auditor', token = 'sixteen-letters-t' }]";
    check(&[
        (
            "[auth]",
            "1: auth.tokens: expected at least one token: without any, nobody could call the API",
        ),
        (
            "[auth]\ntokens = []",
            "2: auth.tokens: expected at least one token: without any, nobody could call the API",
        ),
        (
            "[auth]\ntokens = ['a']",
            "2: auth.tokens[0]: expected a table, found text",
        ),
        (
            &twice,
            "5: auth.tokens[1]: the same token as that of \"a\": nobody could tell them apart",
        ),
        (
            again,
            "3: auth.tokens[1]: another token has the name \"a\": of several that replace one another, all but one need not_after",
        ),
        (
            &again
                .replacen("'auditor'", "'auditor', not_after = '2026-12-31T00:00:00Z'", 1)
                .replacen("'auditor', token", "'operator', token", 1),
            "3: auth.tokens[1]: another token has the name \"a\", and differs in its role, processor, tenant or rights",
        ),
        (
            "[auth]\ntokens = [{ name = 'a', role = 'auditor', token = 'sixteen-letters-t', not_after = '2026-12-31' }]",
            "2: auth.tokens[0].not_after: expected a time with its offset, such as 2026-12-25T00:00:00Z",
        ),
        (
            "[auth]\ntokens = [{ name = 'a', role = 'auditor', token = 'sixteen-letters-t', rights = ['identifiers'] }]",
            "2: auth.tokens[0].rights: only compliance and operator can have the right to see identifiers",
        ),
        (
            "[auth]\ntokens = [{ name = 'a', role = 'operator', token = 'sixteen-letters-t', rights = ['all'] }]",
            "2: auth.tokens[0].rights[0]: expected one of: identifiers",
        ),
        (
            "[auth]\ntokens = [{ name = 'a', role = 'operator', token = 'sixteen-letters-t' }]\nsession = { idle = '2h', absolute = '1h' }",
            "3: auth.session.idle: expected no more than absolute, which ends a session in any case",
        ),
        (
            "[auth]\noidc = { issuer = 'a', audience = 'b', role_claim = 'c' }",
            "2: auth.oidc.issuer: expected the issuer as the identity provider writes it, such as https://id.example.org",
        ),
    ]);
}

#[test]
fn policy() {
    check(&[
        (
            "[policy]\nregime = 'GDPR'",
            "2: policy.regime: expected one of: ccpa, drop, gdpr, indiana, kentucky, lgpd, rhode_island, uk_gdpr, or days:N, working_days:N (N from 1 to 3650) or months:N (N from 1 to 120)",
        ),
        (
            "[policy]\nregime = 'days:0'",
            "2: policy.regime: expected one of: ccpa, drop, gdpr, indiana, kentucky, lgpd, rhode_island, uk_gdpr, or days:N, working_days:N (N from 1 to 3650) or months:N (N from 1 to 120)",
        ),
        (
            "[policy]\ntime_zone = 'Europe/Atlantis'",
            "2: policy.time_zone: expected the name of a time zone in the IANA database, such as Europe/Berlin",
        ),
        (
            "[policy]\nholidays = [\n'2026-02-30']",
            "3: policy.holidays[0]: expected a date such as 2026-12-25",
        ),
        (
            "[policy]\nholidays = ['20261225']",
            "2: policy.holidays[0]: expected a date such as 2026-12-25",
        ),
        (
            "[policy]\nholidays = [2026-12-25T10:00:00Z]",
            "2: policy.holidays[0]: expected a date such as 2026-12-25",
        ),
        (
            "[policy]\nholidays = [1]",
            "2: policy.holidays[0]: expected a date such as 2026-12-25, found an integer",
        ),
        (
            "[policy]\nrequire_identity_verification = 'yes'",
            "2: policy.require_identity_verification: expected true or false, found text",
        ),
        (
            "[policy]\napproval = 'sometimes'",
            "2: policy.approval: expected one of: never, always",
        ),
        (
            "[policy]\napproval = { above_per_hour = 0 }",
            "2: policy.approval.above_per_hour: expected a whole number from 1 to 4294967295",
        ),
        (
            "[policy]\napproval = {}",
            "2: policy.approval.above_per_hour: missing",
        ),
        (
            "[policy]\ngrace = '31d'",
            "2: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 14d, because of lgpd",
        ),
        (
            "[policy]\ngrace = '28d'",
            "2: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 14d, because of lgpd",
        ),
        (
            "[policy]\ngrace = '1mo'",
            "2: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 14d, because of lgpd",
        ),
        // It fits into the policy's own regime; a command may name another one.
        (
            "[policy]\nregime = 'gdpr'\ngrace = '15d'",
            "3: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 14d, because of lgpd",
        ),
        // As long as the period itself: nothing could be sent in time.
        (
            "[policy]\nregime = 'days:30'\ngrace = '30d'",
            "3: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 14d, because of lgpd",
        ),
        (
            "[policy]\nregime = 'working_days:5'\ngrace = '5d'\n",
            "3: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 4d, because of working_days:5",
        ),
        (
            "[policy]\nregime = 'days:1'\ngrace = '24h'",
            "3: policy.grace: expected less than the period of every regime that a command can name, which the grace window consumes: at most 0d, because of days:1",
        ),
        (
            "[policy]\nholidays = 5",
            "2: policy.holidays: expected a list of dates, or the name of a file with one date a line, found an integer",
        ),
        (
            "[policy]\nregimes = ['a']",
            "2: policy.regimes: expected text, found a list",
        ),
        (
            "[policy]\nduplicates = 'merge'",
            "2: policy.duplicates: expected one of: refuse",
        ),
        (
            "[policy]\nduplicates = { merge_open = 1 }",
            "2: policy.duplicates.merge_open: expected true or false, found an integer",
        ),
        (
            "[policy]\nduplicates = { repeat_limit = { count = 0 } }",
            "2: policy.duplicates.repeat_limit.count: expected a whole number from 1 to 4294967295",
        ),
    ]);
    let both = config("[policy]\nduplicates = { repeat_limit = { then = 'panic', per = '0d' } }");
    let expected = [
        "lacuna.toml:2: policy.duplicates.repeat_limit.per: expected a duration longer than zero",
        "lacuna.toml:2: policy.duplicates.repeat_limit.then: expected one of: approval, refuse",
    ];
    assert_eq!(lines(both), expected);
}

#[test]
fn vault_and_registry() {
    check(&[
        (
            "[vault]\nkeyring = 'lacuna.keys'",
            "2: vault.keyring: expected file: followed by a path",
        ),
        (
            "[vault]\nkeyring = 'file:'",
            "2: vault.keyring: expected file: followed by a path",
        ),
        (
            "[registry]\npath = ''",
            "2: registry.path: expected a text that is not empty",
        ),
    ]);
}
