//! Links to other pages and their headings, and files that code spans name.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::markdown::Page;
use crate::support::repository;

/// Where files of the repository lie, as pages name them.
const FOLDERS: &[&str] = &[
    "src/",
    "tests/",
    "docs/",
    "schemas/",
    "docker/",
    ".cargo/",
    ".ci/",
    "proptest-regressions/",
];

/// Links that lead nowhere.
pub fn broken(page: &Page) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, target) in links(page) {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let other = resolved(page, path);
        if !repository(&other).exists() {
            wrong.push(page.at(number, &format!("there is no {other}")));
            continue;
        }
        let has_anchor = || {
            let here = path.is_empty();
            let anchors = if here {
                page.anchors()
            } else {
                Page::read(&other).anchors()
            };
            anchors.iter().any(|known| known == anchor)
        };
        if !anchor.is_empty() && !has_anchor() {
            wrong.push(page.at(number, &format!("{other} has no heading #{anchor}")));
        }
    }
    wrong
}

/// The files that a page links.
pub fn targets(page: &Page) -> Vec<String> {
    links(page)
        .iter()
        .map(|(_, target)| resolved(page, target.split('#').next().unwrap_or_default()))
        .collect()
}

/// The relative links of a page.
fn links(page: &Page) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for line in page.prose() {
        for (at, _) in line.text.match_indices("](") {
            let rest = &line.text[at + 2..];
            let target = &rest[..rest.find(')').unwrap_or(rest.len())];
            if !target.contains("://") && !target.starts_with("mailto:") {
                links.push((line.number, target));
            }
        }
    }
    links
}

/// The path of a link from the repository's root. An empty one is the page itself.
fn resolved(page: &Page, link: &str) -> String {
    if link.is_empty() {
        return page.path.clone();
    }
    let mut path = PathBuf::from(&page.path);
    path.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.display().to_string()
}

/// Files of the repository that code spans name and that are not there.
pub fn missing_files(page: &Page) -> Vec<String> {
    let named = page.spans().into_iter().flat_map(|(number, span)| {
        span.split_whitespace()
            .map(move |word| (number, word.trim_end_matches([',', ':', ';', '.'])))
    });
    named
        .filter(|(_, word)| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|(_, word)| !exists(&repository("."), word))
        .map(|(number, word)| page.at(number, &format!("there is no {word}")))
        .collect()
}

/// Whether there is such a file or folder. `*` stands for anything within a name, and so does a name in capitals.
fn exists(folder: &Path, path: &str) -> bool {
    let Some((name, rest)) = path.split_once('/') else {
        return path.is_empty() || names_like(folder, path).next().is_some();
    };
    names_like(folder, name).any(|found| exists(&folder.join(found), rest))
}

fn names_like(folder: &Path, pattern: &str) -> impl Iterator<Item = String> {
    let is_placeholder = pattern.chars().all(|c| c.is_ascii_uppercase());
    let (before, after) = if is_placeholder {
        ("", "")
    } else {
        pattern.split_once('*').unwrap_or((pattern, ""))
    };
    let is_exact = !is_placeholder && !pattern.contains('*');
    let found: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| {
            if is_exact {
                name == pattern
            } else {
                name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            }
        })
        .collect();
    found.into_iter()
}
