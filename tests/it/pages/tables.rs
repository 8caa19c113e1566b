//! Pages that are written by hand and have a row for each thing of a kind: calls, keys of the registry, tables, alerts.

use std::{collections::BTreeSet, fs};

use lacuna::{config::registry_file, http::openapi};
use serde_json::Value;

use super::markdown::{Page, source_files};
use crate::support::repository;

/// The code spans that stand first in the rows of a page's tables, below one heading or all of them.
fn first_cells(page: &Page, heading: Option<&str>) -> BTreeSet<String> {
    let mut below = heading.is_none();
    let mut cells = BTreeSet::new();
    for line in page.prose() {
        if line.text.starts_with('#') {
            below = heading.is_none_or(|heading| line.text.trim_start_matches(['#', ' ']) == heading);
        }
        let cell = line
            .text
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        if below {
            cells.extend(cell.map(str::to_owned));
        }
    }
    cells
}

fn compare(page: &str, documented: &BTreeSet<String>, known: &BTreeSet<String>) {
    let missing: Vec<_> = known.difference(documented).collect();
    let gone: Vec<_> = documented.difference(known).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "{page}: not in the page: {missing:?}; not in the code: {gone:?}"
    );
}

#[test]
fn http_page_has_every_call() {
    // The calls of the API say themselves what they are; pages of the console have routes.
    let described: Value = serde_json::from_str(openapi::text()).unwrap();
    let mut known: BTreeSet<String> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            let methods = calls.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let mut pages = BTreeSet::new();
    for path in source_files() {
        let file = path.strip_prefix(repository("src")).unwrap().to_owned();
        if !file.starts_with("http") && !file.starts_with("http.rs") {
            continue;
        }
        // Pages for people are no calls of programs, so they need no row.
        let calls = if file.starts_with("http/console") {
            &mut pages
        } else {
            &mut known
        };
        let text = fs::read_to_string(&path).unwrap();
        for route in text.split(".route(").skip(1) {
            let Some(path) = route.split('"').nth(1).filter(|path| path.starts_with('/')) else {
                continue;
            };
            let handlers = route.split(".fallback").next().unwrap_or_default();
            for (method, call) in [
                ("GET", "get("),
                ("POST", "post("),
                ("DELETE", "delete("),
                ("PUT", "put("),
            ] {
                let is_call =
                    |at: usize| !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if handlers.match_indices(call).any(|(at, _)| is_call(at)) {
                    calls.insert(format!("{method} {path}"));
                }
            }
        }
    }
    // The start page, which is for people.
    known.remove("GET /");
    let mut documented = first_cells(&Page::read("docs/reference/http.md"), None);
    documented.retain(|call| !pages.contains(call));
    compare("docs/reference/http.md", &documented, &known);
}

/// What the reader calls known where it is asked for a key that there is not.
fn known_keys(text: &str, table: &str) -> BTreeSet<String> {
    let problems = registry_file::read_text("processors.toml", text).unwrap_err();
    let wanted = format!("{table}qqqqqqqqqqqqqqqqqqqqqqqq");
    let list = problems
        .iter()
        .filter(|problem| problem.key.ends_with(&wanted))
        .find_map(|problem| Some(problem.message.split_once("known here: ")?.1.to_owned()));
    let list = list.unwrap_or_else(|| panic!("nothing is said of {wanted}: {problems}"));
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn registry_page_has_every_key() {
    let odd = "qqqqqqqqqqqqqqqqqqqqqqqq = 1";
    let text = format!(
        "[[processor]]\nid = \"a\"\nkind = \"backup\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"kafka\", {odd} }}\nretry = {{ {odd} }}\nbackup = {{ {odd} }}\n{odd}\n\
         [[processor.retention]]\n{odd}\n"
    );
    let page = Page::read("docs/reference/registry.md");
    for (heading, table) in [
        ("`[[processor]]`", "processor \"a\": "),
        ("`transport`", "transport."),
        ("`retry`", "retry."),
        ("`[[processor.retention]]`", "retention[0]."),
        ("`backup`", "backup."),
    ] {
        compare(
            heading,
            &first_cells(&page, Some(heading)),
            &known_keys(&text, table),
        );
    }
}

#[test]
fn data_model_page_has_every_table() {
    let mut known = BTreeSet::new();
    for dialect in ["postgres", "sqlite"] {
        let folder = repository(&format!("src/store/{dialect}/migrations"));
        for entry in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for statement in text.split("create table ").skip(1) {
                let name: String = statement
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                // A table that takes another one's place, and then its name.
                if !text.contains(&format!("{name} rename to")) {
                    known.insert(name);
                }
            }
        }
    }
    let documented = first_cells(&Page::read("docs/DATA-MODEL.md"), None)
        .into_iter()
        .filter(|cell| !cell.contains('.'))
        .collect();
    compare("docs/DATA-MODEL.md", &documented, &known);
}

#[test]
fn every_runbook_is_in_their_list() {
    let list = Page::read("docs/runbooks/README.md");
    let linked = super::links::targets(&list);
    for entry in fs::read_dir(repository("docs/runbooks")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("docs/runbooks/{name}");
        assert!(
            name == "README.md" || linked.contains(&path),
            "docs/runbooks/README.md does not name {name}"
        );
    }
}

#[test]
#[should_panic(expected = "not in the page")]
fn a_row_that_is_missing_is_found() {
    let page = Page::new("docs/made-up.md", "| call |\n|---|\n| `GET /a` |\n");
    let known = ["GET /a", "GET /b"].map(str::to_owned);
    compare(
        "docs/made-up.md",
        &first_cells(&page, None),
        &BTreeSet::from(known),
    );
}
