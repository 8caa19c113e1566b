//! The pages: README, the files beside it, and everything below `docs/`. What they name has to exist.
//!
//! Each check is a function from a page to what is wrong with it. One test applies all of them to all pages, and one test a
//! check shows that it finds a mistake.

mod commands;
mod generated;
mod links;
pub mod markdown;
mod names;
mod runbooks;
mod tables;

use markdown::Page;

/// A check: what is wrong with a page, a line each.
type Check = fn(&Page) -> Vec<String>;

const CHECKS: &[Check] = &[
    links::broken,
    links::missing_files,
    commands::not_accepted,
    names::unknown_metrics,
    names::unknown_configuration,
    names::unknown_topics,
];

/// The README is read at once, so it is short.
const README_LINES: usize = 150;

#[test]
fn pages_name_only_what_exists() {
    let wrong: Vec<String> = markdown::all()
        .iter()
        .flat_map(|page| CHECKS.iter().flat_map(move |check| check(page)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn readme_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines");
}

#[test]
fn every_page_below_docs_is_linked() {
    let pages = markdown::all();
    let linked: Vec<String> = pages.iter().flat_map(links::targets).collect();
    let orphans: Vec<&str> = pages
        .iter()
        .map(|page| page.path.as_str())
        .filter(|path| path.starts_with("docs/") && !linked.iter().any(|target| target == path))
        .collect();
    assert!(orphans.is_empty(), "no page links these: {orphans:?}");
}

/// Applies a check to a page that is made up.
fn found(check: Check, text: &str) -> Vec<String> {
    check(&Page::new("docs/made-up.md", text))
}

#[test]
fn checks_find_a_mistake_of_their_kind() {
    let cases: &[(Check, &str)] = &[
        (links::broken, "[a page](no-such-page.md)"),
        (links::broken, "[an anchor](GLOSSARY.md#no-such-heading)"),
        (links::broken, "[an anchor here](#no-such-heading)"),
        (links::missing_files, "See `src/no_such_file.rs`."),
        (links::missing_files, "See `schemas/*.no-such-ending`."),
        (links::missing_files, "See `tests/NAME/no-such-file.txt`."),
        (commands::not_accepted, "```sh\nlacuna no-such-command\n```"),
        (
            commands::not_accepted,
            "```sh\nlacuna requests --no-such-option\n```",
        ),
        (commands::not_accepted, "```sh\nA=b lacuna status\n```"),
        (commands::not_accepted, "```sh\necho x | lacuna submit\n```"),
        (
            commands::not_accepted,
            "```sh\ncargo run --release -- no-such-command\n```",
        ),
        (commands::not_accepted, "Run `lacuna topics destroy`."),
        (commands::not_accepted, "Run `lacuna requests --no-such-option`."),
        (names::unknown_metrics, "Alert on `lacuna_no_such_metric`."),
        (
            names::unknown_metrics,
            "Alert on `lacuna_consumer_lag{no_such_label}`.",
        ),
        (
            names::unknown_metrics,
            "```yaml\nexpr: lacuna_no_such_metric > 0\n```",
        ),
        (names::unknown_configuration, "Set `policy.no_such_key`."),
        (names::unknown_configuration, "Set `kafka.topics.no_such_topic`."),
        (names::unknown_topics, "Read `lacuna.no-such-topic`."),
        (
            names::unknown_topics,
            "Raise `no.such.property.bytes` of the topic.",
        ),
    ];
    for (check, text) in cases {
        assert_eq!(found(*check, text).len(), 1, "{text}");
    }
}

#[test]
fn checks_find_nothing_in_what_is_right() {
    let text = "[a page](GLOSSARY.md), [an anchor](GLOSSARY.md#glossary), [elsewhere](https://example.org/x)\n\
                `src/lib.rs`, `schemas/*.json`, `tests/scenarios/NAME/scenario.txt`, `docs/guide/`\n\
                `lacuna dead-letters list --erasures`, `lacuna topics create|list`, `lacuna status ID`\n\
                `lacuna_consumer_lag{topic,partition}`, `lacuna_store_transaction_seconds_bucket`, `lacuna_reason`\n\
                `policy.early_commands`, `kafka.topics.suppression`, `auth.tokens`, `lacuna.commands`, `lacuna.tasks.crm`\n\
                ```sh\n\
                FOO=bar lacuna status $ID --json | head   # one request\n\
                lacuna check && lacuna serve > log.txt\n\
                cargo run --release -- demo\n\
                ```\n";
    for check in CHECKS {
        assert_eq!(found(*check, text), Vec::<String>::new());
    }
}
