//! Mistakes in a connector's file: each is named with its line and its step.

use crate::config::connectors::{read_text, shipped_text};

fn hubspot() -> String {
    shipped_text("hubspot").unwrap().to_owned()
}

fn wrong(text: &str) -> String {
    match read_text("hubspot.toml", text) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

/// The line of a text, counted from 1.
fn line_of(text: &str, what: &str) -> usize {
    text[..text.find(what).unwrap()].matches('\n').count() + 1
}

#[test]
fn a_placeholder_that_does_not_exist_names_line_and_step() {
    let path = "path = \"/crm/v3/objects/contacts/{id}\"";
    let text = hubspot().replacen(path, "path = \"/crm/v3/objects/contacts/{kept.nobody}\"", 1);
    let line = line_of(&text, "{kept.nobody}");
    assert_eq!(
        wrong(&text),
        format!(
            "hubspot.toml:{line}: step \"find\": path: {{kept.nobody}}: no earlier step keeps \"nobody\"\n1 problem"
        )
    );
    let text = hubspot().replacen("{settings.token}", "{settings.tokn}", 1);
    let line = line_of(&text, "[auth]");
    let found = wrong(&text);
    assert!(
        found.starts_with(&format!(
            "hubspot.toml:{line}: auth: {{settings.tokn}}: there is no such setting; did you mean"
        )),
        "{found}"
    );
    let text = hubspot().replacen("{id}", "{email}", 1);
    let line = line_of(&text, "{email}");
    let found = wrong(&text);
    assert!(
        found.starts_with(&format!("hubspot.toml:{line}: "))
            && found.contains("there is no placeholder {email}"),
        "{found}"
    );
}

#[test]
fn mistakes_of_meaning_are_found_before_anything_is_called() {
    let cases = [
        (
            "status = 204\nmeans = \"accepted\"",
            "status = 204\nmeans = \"next\"",
            "a last step settles",
        ),
        ("last = true\n", "", "no step is last"),
        (
            "means = \"present\"",
            "means = \"erased\"",
            "a soft delete is no erasure",
        ),
        (
            "means = \"absent\"",
            "means = \"pending\"",
            "expected of a poll only",
        ),
        (
            "keep = { contact_id = \"/id\" }\n",
            "",
            "a lookup is for what it keeps",
        ),
        (
            "takes = [\"email\"]",
            "takes = [\"e_mail\"]",
            "neither an identity of the connector nor kept",
        ),
        (
            "completes_by = { after = \"30d\", probe = true }\n",
            "",
            "nothing would ever be done",
        ),
        (
            "after = \"30d\"",
            "after = \"soon\"",
            "expected a duration such as 30s",
        ),
        ("kind = \"crm\"", "kind = \"vendor\"", "kind: expected one of: "),
        (
            "means = \"not_found\"",
            "means = \"notfound\"",
            "unknown variant `notfound`",
        ),
        ("rate = \"10/s\"", "rat = \"10/s\"", "unknown field `rat`"),
        (
            "does = \"lookup\"",
            "does = \"lookup\"\nbatch = { count = 5 }",
            "expected {ids} in a batch",
        ),
        (
            "path = \"/crm/v3/objects/contacts/gdpr-delete\"",
            "path = \"/crm/{settings.token}\"",
            "a secret must not be part of an address",
        ),
        (
            "keep = { contact_id = \"/id\" }",
            "keep = { contact_id = \"id\" }",
            "is no JSON pointer",
        ),
        ("id = \"probe\"", "id = \"find\"", "another step has the same id"),
    ];
    for (good, bad, says) in cases {
        let text = hubspot().replacen(good, bad, 1);
        assert_ne!(text, hubspot(), "{good}");
        let found = wrong(&text);
        assert!(found.contains(says), "{bad}: {found}");
        assert!(found.starts_with("hubspot.toml"), "{found}");
    }
}

#[test]
fn a_success_that_nothing_shows_is_refused() {
    let cases = [
        // Whatever comes with 401, 429 and 503 says nothing of a person.
        (
            "status = 204\nmeans = \"accepted\"",
            "means = \"accepted\"",
            "status: missing: accepted would hold for 401, 429 and 503 too",
        ),
        (
            "status = 404\nmeans = \"absent\"",
            "when = { \"/category\" = \"NONE\" }\nmeans = \"absent\"",
            "status: missing: absent would hold for 401",
        ),
        (
            "status = 404\nmeans = \"not_found\"",
            "status = [404, 429]\nmeans = \"not_found\"",
            "429 says nothing of the person",
        ),
        (
            "status = 404\nmeans = \"not_found\"",
            "status = \"4xx\"\nmeans = \"not_found\"",
            "401 says nothing of the person",
        ),
        (
            "status = 404\nmeans = \"not_found\"",
            "status = \"5xx\"\nmeans = \"rejected\"",
            "500 says nothing of the person",
        ),
        (
            "status = 404\nmeans = \"not_found\"",
            "status = [403, 404]\nmeans = \"not_found\"",
            "403 alone says that we are not let in",
        ),
        (
            "status = 204\nmeans = \"accepted\"",
            "status = [204, 409]\nmeans = \"accepted\"",
            "a refusal is not accepted",
        ),
        (
            "status = 404\nmeans = \"absent\"",
            "status = [200, 404]\nmeans = \"absent\"",
            "a success says that nobody is there only by what stands in it",
        ),
        (
            "status = 404\nmeans = \"absent\"",
            "status = 200\nwhen = { \"/id\" = { exists = false } }\nmeans = \"absent\"",
            "a success says that nobody is there only by what stands in it",
        ),
        (
            "status = 404\nmeans = \"absent\"",
            "status = 200\nwhen = { \"/id\" = { emtpy = true } }\nmeans = \"absent\"",
            "\"/id\": expected a value, a list of values, or",
        ),
        (
            "keep = { contact_id = \"/id\" }",
            "keep = { contact_id = \"/id\" }\nselect = { in = \"/pages/*/people\", has = \"/id\" }",
            "without *",
        ),
        (
            "keep = { contact_id = \"/id\" }",
            "keep = { contact_id = \"/id\" }\nheaders = { \"X Y\" = \"1\" }",
            "\"X Y\" is no name of a header",
        ),
        (
            "path = \"/crm/v3/objects/contacts/gdpr-delete\"",
            "path = \"crm/v3/gdpr-delete\"",
            "expected one that begins with /",
        ),
        (
            "path = \"/crm/v3/objects/contacts/gdpr-delete\"",
            "path = \"/crm/gdpr delete\"",
            "it has a character that no path has",
        ),
        (
            "path = \"/crm/v3/objects/contacts/gdpr-delete\"",
            "answers = \"text\"\npath = \"/crm/v3/objects/contacts/gdpr-delete\"",
            "",
        ),
        (
            "path = \"/crm/v3/objects/contacts/gdpr-delete\"\njson = { objectId = \"{id}\" }\n[[step.rule]]\nstatus = 204",
            "answers = \"text\"\npath = \"/crm/v3/objects/contacts/gdpr-delete\"\n[[step.rule]]\nstatus = 200",
            "any text would pass for it",
        ),
    ];
    for (good, bad, says) in cases {
        let text = hubspot().replacen(good, bad, 1);
        assert_ne!(text, hubspot(), "{good}");
        let found = wrong(&text);
        assert_eq!(found.is_empty(), says.is_empty(), "{bad}: {found}");
        assert!(found.contains(says), "{bad}: {found}");
    }
}
