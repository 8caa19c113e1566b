//! Reads a TOML document key by key and collects every mistake with its line.
//!
//! A [`Section`] remembers which keys it was asked for, and what is left over at its end is an unknown key. Nothing
//! here repeats a value in a message: it may be a secret in the wrong place. Keys and names are repeated.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use toml_edit::{ArrayOfTables, Document, Item, Table, TableLike, Value};

use super::{
    environment::Settings,
    names::{shown, unknown_key},
    problems::{Problem, Problems},
};

/// Looks an environment variable up. A test brings its own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<std::ffi::OsString>;

/// Far more than any configuration needs, and little enough to be read without a second thought.
const MAX_BYTES: usize = 1024 * 1024;

/// A file that is being read, and what was found wrong with it.
pub(super) struct Source<'a> {
    file: String,
    text: &'a str,
    /// Where each line's end is.
    line_ends: Vec<usize>,
    /// What relative paths are resolved against.
    pub(super) folder: PathBuf,
    pub(super) environment: Environment<'a>,
    /// What the environment sets, which wins over the text.
    settings: Settings,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &str, folder: &Path, text: &'a str, environment: Environment<'a>) -> Self {
        Self {
            file: file.to_owned(),
            text,
            line_ends: text.match_indices('\n').map(|(offset, _)| offset).collect(),
            folder: folder.to_owned(),
            environment,
            settings: Settings::default(),
            problems: RefCell::new(Vec::new()),
        }
    }

    /// The same, with what the environment sets.
    pub(super) fn with(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Whether a key comes from the environment.
    pub(super) fn is_set_by_environment(&self, key: &str) -> bool {
        self.settings.variable_of(key).is_some()
    }

    /// Parses the text and hands its root to `read`, which gets an empty root where the syntax is wrong.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Section<'_>) -> T) -> Result<T, Problems> {
        let document = self.parse();
        // A copy that knows the lines of what stands in the file.
        let mut root = document.as_ref().map(|document| document.as_table().clone());
        if let Some(root) = &mut root {
            self.problems
                .borrow_mut()
                .extend_from_slice(self.settings.wrong());
            self.settings.put_into(root);
        }
        let root = root.as_ref().map(|root| root as &dyn TableLike);
        let section = Section::new(self, root, String::new(), None);
        let value = read(&section);
        section.finish();
        let mut found = self.problems.take();
        if document.is_none() {
            // What an empty root lacks is no mistake of a file that could not be read.
            found.truncate(1);
        }
        match Problems::new(found) {
            Some(problems) => Err(problems),
            None => Ok(value),
        }
    }

    fn parse(&self) -> Option<Document<&'a str>> {
        if self.text.len() > MAX_BYTES {
            self.report(None, "", "larger than 1 MiB, which no configuration needs");
            return None;
        }
        Document::parse(self.text)
            .map_err(|error| self.report_syntax(&error))
            .ok()
    }

    /// The parser's messages are its own words: they hold nothing of the text.
    fn report_syntax(&self, error: &toml_edit::TomlError) {
        let span = error.span();
        let line = span.as_ref().map(|span| self.line(span.start));
        let about = span.and_then(|span| self.text.get(span)).unwrap_or_default();
        if error.message() == "duplicate key" {
            self.report(
                line,
                &shown(about.trim_matches(['"', '\''])),
                "given more than once",
            );
        } else {
            self.report(line, "", &format!("no valid TOML: {}", error.message()));
        }
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(super) fn report(&self, line: Option<usize>, key: &str, message: &str) {
        // One problem is one line, whatever a message was made of.
        let message = message.replace(char::is_control, " ");
        let variable = self.settings.variable_of(key);
        // A table that the file does not have was made for a key of it.
        let variable = variable.or_else(|| self.settings.variable_within(key).filter(|_| line.is_none()));
        self.problems.borrow_mut().push(Problem {
            file: variable.unwrap_or(&self.file).to_owned(),
            line: line.filter(|_| variable.is_none()),
            key: key.to_owned(),
            message,
        });
    }

    /// Takes over what is wrong with another file that this one names.
    pub(super) fn adopt(&self, problems: Problems) {
        self.problems.borrow_mut().extend(problems);
    }

    fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }
}

/// A table that is being read, or the lack of one: then every key is absent, and the defaults are found.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    table: Option<&'a dyn TableLike>,
    /// What comes before its keys in messages, with its separator: `kafka.`, `processor "crm": `.
    prefix: String,
    line: Option<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
    any: Cell<bool>,
}

impl<'a> Section<'a> {
    /// A section that is not there.
    pub(super) fn absent(source: &'a Source<'a>) -> Self {
        Self::new(source, None, String::new(), None)
    }

    fn new(
        source: &'a Source<'a>,
        table: Option<&'a dyn TableLike>,
        prefix: String,
        line: Option<usize>,
    ) -> Self {
        Self {
            source,
            table,
            prefix,
            line,
            asked: RefCell::default(),
            any: Cell::new(false),
        }
    }

    /// The entry of this key, if there is one.
    pub(super) fn get(&self, key: &'static str) -> Option<Entry<'a>> {
        self.asked.borrow_mut().insert(key);
        self.table.and_then(|table| self.entry(table, key))
    }

    /// The entry of this key; its absence is a problem.
    pub(super) fn need(&self, key: &'static str) -> Option<Entry<'a>> {
        let found = self.get(key);
        if found.is_none() && self.table.is_some() {
            self.problem(key, "missing");
        }
        found
    }

    /// Every entry, for a table whose keys are the user's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Entry<'a>)> {
        let Some(table) = self.table else {
            return Vec::new();
        };
        table
            .iter()
            .filter_map(|(key, _)| Some((key, self.entry(table, key)?)))
            .collect()
    }

    /// Takes every key: there is no unknown one.
    pub(super) fn take_any(&self) {
        self.any.set(true);
    }

    /// What relative paths are resolved against.
    pub(super) fn folder(&self) -> &'a Path {
        &self.source.folder
    }

    /// Takes over what is wrong with another file.
    pub(super) fn adopt(&self, problems: Problems) {
        self.source.adopt(problems);
    }

    /// Reads the table of this key. Where it is absent, or no table, `read` gets an empty one.
    pub(super) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let entry = self.get(key);
        let table = entry.as_ref().and_then(Entry::as_table);
        let prefix = format!("{}{key}.", self.prefix);
        let section = Section::new(self.source, table, prefix, entry.and_then(|e| e.line));
        let value = read(&section);
        section.finish();
        value
    }

    /// Reports a problem of one of its keys: in that key's line, or where the section begins if it is absent.
    pub(super) fn problem(&self, key: &'static str, message: &str) {
        match self.get(key) {
            Some(entry) => entry.problem(message),
            None => self
                .source
                .report(self.line, &format!("{}{key}", self.prefix), message),
        }
    }

    fn entry(&self, table: &'a dyn TableLike, key: &str) -> Option<Entry<'a>> {
        let (name, item) = table.get_key_value(key)?;
        let span = item.span().or_else(|| name.span());
        Some(Entry {
            source: self.source,
            node: Node::of(item)?,
            key: format!("{}{}", self.prefix, shown(key)),
            line: span.map(|span| self.source.line(span.start)).or(self.line),
        })
    }

    /// Reports the keys that nobody asked for.
    fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, entry) in self.entries() {
            if !self.any.get() && !asked.contains(key) {
                entry.problem(&unknown_key(key, &asked));
            }
        }
    }
}

/// A value that is being read.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) node: Node<'a>,
    key: String,
    line: Option<usize>,
}

/// The shapes of a value; that a table may be written in three ways makes no difference to a reader.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Value(&'a Value),
    Table(&'a dyn TableLike),
    Tables(&'a ArrayOfTables),
}

impl<'a> Node<'a> {
    fn of(item: &'a Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(Self::of_value(value)),
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
        }
    }

    fn of_value(value: &'a Value) -> Self {
        match value {
            Value::InlineTable(table) => Self::Table(table),
            other => Self::Value(other),
        }
    }

    /// What it is, in words.
    fn name(self) -> &'static str {
        match self {
            Self::Table(_) | Self::Value(Value::InlineTable(_)) => "a table",
            Self::Tables(_) | Self::Value(Value::Array(_)) => "a list",
            Self::Value(Value::String(_)) => "text",
            Self::Value(Value::Integer(_)) => "an integer",
            Self::Value(Value::Float(_)) => "a number with a fraction",
            Self::Value(Value::Boolean(_)) => "a boolean",
            Self::Value(Value::Datetime(_)) => "a date or time",
        }
    }
}

impl<'a> Entry<'a> {
    /// Reports a problem with it.
    pub(super) fn problem(&self, message: &str) {
        self.source.report(self.line, &self.key, message);
    }

    /// Reports that it is of another type.
    pub(super) fn mismatch<T>(&self, expected: &str) -> Option<T> {
        self.problem(&format!("expected {expected}, found {}", self.node.name()));
        None
    }

    /// Whether it comes from the environment.
    pub(super) fn is_set_by_environment(&self) -> bool {
        self.source.is_set_by_environment(&self.key)
    }

    /// Whether it is a table, for a key that takes a table or something else.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.node, Node::Table(_))
    }

    /// Whether it is text, for a key that takes text or something else.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.node, Node::Value(Value::String(_)))
    }

    fn as_table(&self) -> Option<&'a dyn TableLike> {
        match self.node {
            Node::Table(table) => Some(table),
            _ => self.mismatch("a table"),
        }
    }

    /// Reads it as a table.
    pub(super) fn table<T>(&self, read: impl FnOnce(&Section<'a>) -> T) -> Option<T> {
        self.table_named(&format!("{}.", self.key), read)
    }

    /// Reads it as a table whose keys are shown after `prefix`.
    pub(super) fn table_named<T>(&self, prefix: &str, read: impl FnOnce(&Section<'a>) -> T) -> Option<T> {
        let section = Section::new(self.source, Some(self.as_table()?), prefix.to_owned(), self.line);
        let value = read(&section);
        section.finish();
        Some(value)
    }

    /// The text of one key of it, before it is read: to name it in messages.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        match self.node {
            Node::Table(table) => table.get(key).and_then(Item::as_str),
            _ => None,
        }
    }

    /// Whether it is a table that has this key, before it is read.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(self.node, Node::Table(table) if table.contains_key(key))
    }

    /// Its elements. A list of tables may be written inline or with `[[…]]`.
    pub(super) fn list(&self) -> Option<Vec<Entry<'a>>> {
        self.list_or("a list")
    }

    /// The same, for a key that takes a list or something else: what it takes.
    pub(super) fn list_or(&self, expected: &str) -> Option<Vec<Entry<'a>>> {
        match self.node {
            Node::Value(Value::Array(array)) => {
                let element =
                    |(n, value): (usize, &'a Value)| self.element(n, Node::of_value(value), value.span());
                Some(array.iter().enumerate().map(element).collect())
            }
            Node::Tables(tables) => {
                let element =
                    |(n, table): (usize, &'a Table)| self.element(n, Node::Table(table), table.span());
                Some(tables.iter().enumerate().map(element).collect())
            }
            _ => self.mismatch(expected),
        }
    }

    fn element(&self, n: usize, node: Node<'a>, span: Option<std::ops::Range<usize>>) -> Entry<'a> {
        Entry {
            source: self.source,
            node,
            key: format!("{}[{n}]", self.key),
            line: span.map(|span| self.source.line(span.start)).or(self.line),
        }
    }
}
