use super::*;

const ERASE: &str = r#"{"type":"erase","subject":{"identities":[{"type":"customer_id","value":"42"}]}}"#;

#[test]
fn a_command_without_an_id_gets_one_that_names_its_request() {
    let config = Config::default();
    let command = check_one(ERASE.as_bytes(), &config).unwrap();
    assert!(command.is_new);
    assert_eq!(command.command_id.0, command.key);
    // The event has a fresh id, and the command the one that both, its source and its id, give.
    assert_eq!(command.event_id.get_version_num(), 7);
    assert_ne!(command.event_id, command.key);
    assert_eq!(command.topic, "lacuna.commands");
}

#[test]
fn a_hold_goes_to_the_control_topic_under_its_own_name() {
    let config = Config::default();
    let id = "018f6f2e-7c1a-7b3e-9a44-00000000000c";
    let rest = r#""basis":"dispute","request_id":"018f6f2e-7c1a-7b3e-9a44-000000000002""#;
    for kind in ["hold", "release"] {
        let text = format!(r#"{{"type":"{kind}","actor":"j.doe","hold_id":"{id}",{rest}}}"#);
        let command = check_one(text.as_bytes(), &config).unwrap();
        assert_eq!(
            (command.topic, command.key.to_string().as_str()),
            ("lacuna.control", id)
        );
    }
}

#[test]
fn elements_of_an_array_are_checked_like_lines() {
    let config = Config::default();
    let input = format!("\u{feff}[{ERASE},\n{{\"type\":\"canary\"}},\n{ERASE}]");
    let Err(Failure::Several(failures)) = check(input.as_bytes(), "x.json", &config) else {
        panic!("accepted")
    };
    assert!(
        failures[0].to_string().starts_with("x.json:2: unknown_type"),
        "{failures:?}"
    );
    let input = format!("[{ERASE},\n{ERASE}]");
    let valid = check(input.as_bytes(), "x.json", &config).unwrap();
    assert_eq!(valid.len(), 2);
    assert!(valid.iter().all(|command| command.payload == ERASE.as_bytes()));
    for broken in ["[{\"a\":1},\n", "[{}\n{}]", "[{}]\n{}"] {
        let said = check(broken.as_bytes(), "x.json", &config)
            .unwrap_err()
            .to_string();
        assert!(said.starts_with("x.json:") && said.contains("not_json"), "{said}");
    }
}

#[test]
fn a_file_that_is_no_text_is_named_for_what_it_is() {
    let utf_16: Vec<u8> = ERASE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (input, named) in [
        (&b"\x1f\x8b\x08"[..], "gzip"),
        (b"PK\x03\x04", "xlsx"),
        (&utf_16, "UTF-16"),
    ] {
        let said = check(input, "x", &Config::default()).unwrap_err().to_string();
        assert!(said.contains(named), "{said}");
    }
}

#[test]
fn what_stands_for_nobody_is_not_published() {
    let config = Config::read_text(
        "lacuna.toml",
        Path::new(""),
        "[policy]\nplaceholder_identities = [\"guest\"]",
        &|_| None,
    )
    .unwrap();
    for value in ["null", "guest", "GUEST", "1.23457E+15"] {
        let refusal = check_one(ERASE.replace("42", value).as_bytes(), &config).unwrap_err();
        assert_eq!(refusal.reason, DeadLetterReason::Schema);
        assert!(
            refusal
                .detail
                .starts_with("subject.identities[0].value: expected"),
            "{refusal}"
        );
    }
}

#[test]
fn a_type_that_no_processor_knows_is_warned_of() {
    let registry = registry_file::read_text(
        "processors.toml",
        "[[processor]]\nid = \"crm\"\nkind = \"crm\"\ntransport = { type = \"kafka\" }\nactions = [\"erase\"]\n\
         identities = [\"email\", \"customer_id\"]",
    )
    .unwrap();
    let config = Config::default();
    let input = format!("{ERASE}\n{}", ERASE.replace("customer_id", "mail"));
    let commands = check(input.as_bytes(), "x", &config).unwrap();
    let said = warnings(&commands, &registry);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("2: subject.identities[0].type:") && said[0].ends_with("did you mean email?"),
        "{said:?}"
    );
}

#[test]
fn every_wrong_line_is_named_and_none_is_repeated() {
    let config = Config::default();
    let input = format!("{ERASE}\n{{\"type\":\"canary\"}}\n{{\"type\":\"erase\",\"subject\":\"canary\"}}\n");
    let Err(Failure::Several(failures)) = check(input.as_bytes(), "x.jsonl", &config) else {
        panic!("accepted")
    };
    let said: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(said[0].starts_with("x.jsonl:2: unknown_type"), "{said:?}");
    assert!(said[1].starts_with("x.jsonl:3: schema: subject"), "{said:?}");
    assert!(said[2].contains("2 of 3"), "{said:?}");
    assert!(!said.concat().contains("canary"), "{said:?}");
}
