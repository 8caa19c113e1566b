//! How long files and functions may be: what does not fit on a few screens is read by nobody.

use std::fs;

use super::{relative, source_files};

/// Beyond this a file wants splitting. Tests may be longer, because nobody reads them from the beginning to the end.
const LINES_OF_A_FILE: usize = 400;
const LINES_OF_TESTS: usize = 500;

/// Beyond this a function wants splitting.
const LINES_OF_A_FUNCTION: usize = 60;

/// Functions that are longer, and why.
const LONGER: &[(&str, &str)] = &[
    // The table of states and events: a line each, and complete.
    ("domain/task/apply.rs", "apply"),
    ("domain/task/apply.rs", "count"),
    // A row of every table that a use case writes.
    ("engine/dry_run.rs", "dry_run"),
    // What each kind of fact concerns: an arm each.
    ("engine/sweep.rs", "stages"),
    // The keys of the registry's file in their order.
    ("view/registry.rs", "keys"),
];

fn is_of_tests(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("tests.rs")
}

#[test]
fn files_are_short() {
    let long: Vec<String> = source_files()
        .iter()
        .filter_map(|path| {
            let file = relative(path);
            let lines = fs::read_to_string(path).unwrap().lines().count();
            let most = if is_of_tests(&file) {
                LINES_OF_TESTS
            } else {
                LINES_OF_A_FILE
            };
            (lines > most).then(|| format!("src/{file} has {lines} lines, more than {most}: split it"))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    let mut excused = Vec::new();
    for path in source_files() {
        let file = relative(&path);
        if is_of_tests(&file) {
            continue;
        }
        for (name, lines) in functions(&fs::read_to_string(&path).unwrap()) {
            if lines <= LINES_OF_A_FUNCTION {
                continue;
            }
            if LONGER.contains(&(file.as_str(), name.as_str())) {
                excused.push((file.clone(), name));
            } else {
                long.push(format!("src/{file}: `{name}` has {lines} lines: split it"));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    assert_eq!(excused.len(), LONGER.len(), "some are short by now: {excused:?}");
}

/// The functions of a file with the lines of their bodies, as rustfmt sets them. Tests inside the file do not count.
fn functions(text: &str) -> Vec<(String, usize)> {
    let end = text.find("\nmod tests {").unwrap_or(text.len());
    let lines: Vec<&str> = text[..end].lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else {
            continue;
        };
        let is_item = before.is_empty() || before.split_whitespace().all(is_qualifier);
        let indent = line.len() - code.len();
        let closing = format!("{}}}", " ".repeat(indent));
        let body = lines[start..].iter().position(|line| line.ends_with('{'));
        let ends = lines[start..].iter().position(|line| line.ends_with(';'));
        let (true, Some(body)) = (is_item, body) else {
            continue;
        };
        // A method that a trait only declares.
        if ends.is_some_and(|ends| ends < body) {
            continue;
        }
        let from = start + body;
        if let Some(length) = lines[from..].iter().position(|line| *line == closing) {
            let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_');
            found.push((name.collect(), length.saturating_sub(1)));
        }
    }
    found
}

fn is_qualifier(word: &str) -> bool {
    word.starts_with("pub") || ["const", "async", "super)", "crate)"].contains(&word) || word.ends_with(')')
}

#[test]
fn lines_of_functions_are_counted() {
    let body = "        x();\n".repeat(61);
    let text = format!(
        "impl A {{\n    pub async fn long(\n        &self,\n    ) -> B {{\n{body}    }}\n}}\n\npub const fn short() {{\n    \
         x();\n}}\n\ntrait C {{\n    fn declared(&self);\n}}\n"
    );
    assert_eq!(
        functions(&text),
        [("long".to_owned(), 61), ("short".to_owned(), 1)]
    );
}
