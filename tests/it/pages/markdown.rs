//! As much of Markdown as the checks need: headings, links, code spans, fenced blocks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::repository;

/// A page.
pub struct Page {
    /// From the repository's root.
    pub path: String,
    pub text: String,
}

/// A line of a page.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    pub text: &'a str,
    /// The language of the fenced block that it is in; empty: none is named.
    pub fence: Option<&'a str>,
}

/// Every page.
pub fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(repository(".")).unwrap() {
        let path = entry.unwrap().path();
        if ends_in(&path, "md") {
            paths.push(path);
        }
    }
    walk(&repository("docs"), "md", &mut paths);
    paths.sort();
    assert!(paths.len() > 20, "these are not all: {paths:?}");
    let root = repository(".");
    paths
        .iter()
        .map(|path| Page::read(path.strip_prefix(&root).unwrap().to_str().unwrap()))
        .collect()
}

/// The files of the program.
pub fn source_files() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    walk(&repository("src"), "rs", &mut paths);
    paths
}

fn walk(folder: &Path, ending: &str, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, ending, paths);
        } else if ends_in(&path, ending) {
            paths.push(path);
        }
    }
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

impl Page {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::new(path, &text)
    }

    /// A finding about a line.
    pub fn at(&self, number: usize, what: &str) -> String {
        format!("{}:{number}: {what}", self.path)
    }

    pub fn lines(&self) -> Vec<Line<'_>> {
        let mut fence: Option<&str> = None;
        let mut lines = Vec::new();
        for (n, text) in self.text.lines().enumerate() {
            if let Some(language) = text.trim_start().strip_prefix("```") {
                fence = if fence.is_some() { None } else { Some(language) };
                continue;
            }
            lines.push(Line {
                number: n + 1,
                text,
                fence,
            });
        }
        lines
    }

    /// What is outside of fenced blocks.
    pub fn prose(&self) -> Vec<Line<'_>> {
        self.lines()
            .into_iter()
            .filter(|line| line.fence.is_none())
            .collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        self.prose()
            .iter()
            .filter_map(|line| line.text.strip_prefix('#'))
            .map(|heading| anchor(heading.trim_start_matches('#').trim()))
            .collect()
    }

    /// The code spans of its prose.
    pub fn spans(&self) -> Vec<(usize, &str)> {
        let mut spans = Vec::new();
        for line in self.prose() {
            spans.extend(
                line.text
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(|span| (line.number, span)),
            );
        }
        spans
    }
}

fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .collect()
}
