//! No circle of files inside a folder: whoever reads one file must not have to read all of a ring first.
//!
//! An arrow goes from a file to the file of each module that it names in a `use` or in a path. A module and its own parts
//! (`x.rs` and `x/…`) are one subject, so arrows between them do not count. Tests do not count either.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, relative, source_files};

/// A module's path, such as `engine::intake`.
type Module = String;

#[test]
fn no_files_of_a_folder_form_a_circle() {
    let arrows = arrows();
    let circles: Vec<String> = circles(&arrows)
        .into_iter()
        .map(|circle| {
            let ties = circle.iter().flat_map(|from| {
                let inside = arrows[from].iter().filter(|to| circle.contains(to.as_str()));
                inside.map(move |to| format!("  {from} -> {to}"))
            });
            ties.collect::<Vec<_>>().join("\n")
        })
        .collect();
    assert!(
        circles.is_empty(),
        "{} circles:\n{}",
        circles.len(),
        circles.join("\n\n")
    );
}

/// For each file, the files of its folder that it uses.
fn arrows() -> BTreeMap<Module, BTreeSet<Module>> {
    let texts: BTreeMap<Module, String> = source_files()
        .iter()
        .map(|path| (module_path(&relative(path)), without_tests(&code(path))))
        .filter(|(module, _)| !is_of_tests(module))
        .collect();
    let floor = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    texts
        .iter()
        .map(|(module, text)| {
            let used = named_paths(text)
                .iter()
                .filter_map(|path| absolute(module, path))
                .filter_map(|path| file_of(&path, &texts))
                .filter(|used| floor(used) == floor(module) && !is_one_subject(module, used))
                .collect();
            (module.clone(), used)
        })
        .collect()
}

fn module_path(file: &str) -> Module {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

fn is_of_tests(module: &str) -> bool {
    module
        .split("::")
        .any(|part| part == "tests" || part.ends_with("_tests"))
}

/// Tests inside a file stand at its end.
fn without_tests(code: &str) -> String {
    let end = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    code[..end].to_owned()
}

fn is_one_subject(a: &str, b: &str) -> bool {
    let is_part = |part: &str, whole: &str| part.starts_with(&format!("{whole}::"));
    a == b || is_part(a, b) || is_part(b, a)
}

/// The longest beginning of a path that is a file.
fn file_of(path: &[String], texts: &BTreeMap<Module, String>) -> Option<Module> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].join("::"))
        .find(|module| texts.contains_key(module))
}

/// A path from the crate's root. `None`: it does not begin in this crate.
fn absolute(module: &str, path: &[String]) -> Option<Vec<String>> {
    let mut at: Vec<String> = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.split("::").map(str::to_owned).collect(),
        _ => return None,
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => {
                at.pop();
            }
            part => at.push(part.to_owned()),
        }
    }
    Some(at)
}

/// Every path that begins with `crate`, `self` or `super`; a group is several.
fn named_paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for root in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            let is_inside = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            if !is_inside {
                expand(&code[at..], &[], &mut paths);
            }
        }
    }
    paths
}

/// Adds the paths that a text begins with to `paths`; answers how much of it was read.
fn expand(text: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while !text[at..].trim_start().starts_with('}') && at < text.len() {
                at += expand(&text[at..], &path, paths);
                let rest = text[at..].trim_start();
                at = text.len() - rest.len() + usize::from(rest.starts_with(','));
            }
            return text.len() - text[at..].trim_start().len() + 1;
        }
        let ident: String = text[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        at += ident.len().max(usize::from(ident.is_empty()));
        if !ident.is_empty() {
            path.push(ident);
        }
        if text.get(at..).is_some_and(|rest| rest.starts_with("::")) {
            at += 2;
        } else {
            paths.push(path);
            // `as name` belongs to the member before it.
            let rest = text.get(at..).unwrap_or_default();
            let alias = rest
                .trim_start()
                .starts_with("as ")
                .then(|| rest.find([',', '}', ';']));
            return at + alias.flatten().unwrap_or(0);
        }
    }
}

/// Sets of files that reach each other.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> = arrows
        .keys()
        .map(|from| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&Module> = arrows[from].iter().collect();
            while let Some(module) = next.pop() {
                if seen.insert(module.clone()) {
                    next.extend(&arrows[module]);
                }
            }
            (from, seen)
        })
        .collect();
    let circles: BTreeSet<BTreeSet<Module>> = arrows
        .keys()
        .filter(|module| reached[module].contains(*module))
        .map(|module| {
            let back = |other: &&Module| reached[other].contains(module);
            reached[module].iter().filter(back).cloned().collect()
        })
        .collect();
    circles.into_iter().collect()
}

#[test]
fn a_circle_is_seen_in_every_form_of_use() {
    let code =
        "use crate::{\n    a::{b, c::{d as e, f}},\n    g,\n};\nuse super::h::I;\nlet x = self::j::k();";
    let found: Vec<String> = named_paths(code).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "crate::a::b",
            "crate::a::c::d",
            "crate::a::c::f",
            "crate::g",
            "self::j::k",
            "super::h::I"
        ]
    );
    assert_eq!(
        absolute("x::y", &["super".into(), "z".into()]),
        Some(vec!["x".into(), "z".into()])
    );
    let arrow = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
    let ring = BTreeMap::from([
        arrow("x::a", "x::b"),
        arrow("x::b", "x::a"),
        arrow("x::c", "x::a"),
    ]);
    assert_eq!(
        circles(&ring),
        [BTreeSet::from(["x::a".to_owned(), "x::b".to_owned()])]
    );
}
