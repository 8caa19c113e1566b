//! Reads timelines.
//!
//! A file holds timelines. One begins with `== its name`; lines with an indented `id key=value…` register processors,
//! `start`, `zone`, `keep_ids` and `verification` set the scene, and every other line is a step: a time, an event, `->`, and what has to
//! be so afterwards, separated by `;`. A `#` that stands alone begins a comment.

use std::collections::BTreeMap;

use lacuna::domain::{calendar::Period, time::At};

/// A processor's rules, as `key=value`.
pub type Attributes = BTreeMap<String, String>;

/// One timeline.
#[derive(Debug, Clone)]
pub struct Timeline {
    pub name: String,
    pub start: At,
    pub zone: String,
    pub keep_ids: Option<String>,
    /// Whether nothing is sent before the subject's identity is verified.
    pub verification: bool,
    pub processors: Vec<(String, Attributes)>,
    pub steps: Vec<Step>,
}

/// Something that happens, and what has to be so afterwards.
#[derive(Debug, Clone)]
pub struct Step {
    pub text: String,
    pub at: At,
    pub event: Vec<String>,
    pub expected: Vec<String>,
}

/// Reads a file.
pub fn read(text: &str) -> Vec<Timeline> {
    let mut timelines: Vec<Timeline> = Vec::new();
    for line in text.lines() {
        let line = line.split(" # ").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("==") {
            timelines.push(Timeline {
                name: name.trim().to_owned(),
                start: At::parse("2026-11-21T12:00:00Z").unwrap(),
                zone: "UTC".to_owned(),
                keep_ids: None,
                verification: false,
                processors: Vec::new(),
                steps: Vec::new(),
            });
            continue;
        }
        let timeline = timelines.last_mut().expect("a timeline begins with ==");
        timeline.take(line);
    }
    timelines
}

impl Timeline {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["start", at] => self.start = At::parse(at).unwrap(),
            ["zone", zone] => self.zone = (*zone).to_owned(),
            ["keep_ids", period] => self.keep_ids = Some((*period).to_owned()),
            ["verification"] => self.verification = true,
            [first, ..] if is_time(first) => self.steps.push(self.step(line)),
            [id, rules @ ..] => self.processors.push(((*id).to_owned(), attributes(rules))),
            [] => {}
        }
    }

    fn step(&self, line: &str) -> Step {
        let (what, expected) = line.split_once("->").unwrap_or((line, ""));
        let mut words = what.split_whitespace().map(str::to_owned);
        let at = self.time(&words.next().expect("a step begins with its time"));
        Step {
            text: line.to_owned(),
            at,
            event: words.collect(),
            expected: expected
                .split(';')
                .map(|claim| claim.trim().to_owned())
                .filter(|claim| !claim.is_empty())
                .collect(),
        }
    }

    /// `d36+5m-1ms`: so many days of 24 hours after the start, and a little more or less; or a time of RFC 3339.
    pub fn time(&self, text: &str) -> At {
        if let Ok(at) = At::parse(text) {
            return at;
        }
        let text = text
            .strip_prefix('d')
            .unwrap_or_else(|| panic!("no time: {text}"));
        let signs: Vec<usize> = text
            .char_indices()
            .filter(|(_, c)| matches!(c, '+' | '-'))
            .map(|(place, _)| place)
            .collect();
        let end = signs.first().copied().unwrap_or(text.len());
        let mut millis = text[..end].parse::<i64>().unwrap() * 24 * 3600 * 1000;
        for (n, from) in signs.iter().enumerate() {
            let to = signs.get(n + 1).copied().unwrap_or(text.len());
            let by = duration(&text[from + 1..to]);
            millis += if text.as_bytes()[*from] == b'+' { by } else { -by };
        }
        At::from_millis(self.start.millis() + millis)
    }
}

/// Whether a word is a time, so that its line is a step.
fn is_time(word: &str) -> bool {
    let day = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    word.strip_prefix('d').is_some_and(day) || At::parse(word).is_ok()
}

/// In milliseconds.
fn duration(text: &str) -> i64 {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().unwrap();
    }
    let epoch = At::from_millis(0);
    let period = Period::parse(text).unwrap();
    period.add_to(epoch, &jiff::tz::TimeZone::UTC).millis()
}

/// Words of the form `key=value`; one without `=` is a flag.
pub fn attributes<T: AsRef<str>>(words: &[T]) -> Attributes {
    words
        .iter()
        .map(|word| match word.as_ref().split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (word.as_ref().to_owned(), String::new()),
        })
        .collect()
}

/// The registry of these processors, as its file would have it.
pub fn registry(processors: &[(String, Attributes)]) -> String {
    processors
        .iter()
        .map(|(id, rules)| processor(id, rules))
        .collect()
}

fn processor(id: &str, rules: &Attributes) -> String {
    let get = |key: &str, default: &str| rules.get(key).map_or(default, String::as_str).to_owned();
    let is_backup = rules.contains_key("of");
    let kind = if is_backup { "backup" } else { "other" };
    let identities = if is_backup {
        "customer_id"
    } else {
        "email,customer_id"
    };
    let mut text = format!(
        "[[processor]]\nid = \"{id}\"\nkind = \"{kind}\"\ntransport = {{ type = \"kafka\" }}\nactions = {}\nidentities = \
         {}\nack_timeout = \"{}\"\nretry = {{ initial = \"1h\", multiplier = 1.0, jitter = 0.0, attempts = {} }}\n",
        list(&get("actions", "erase,anonymize")),
        list(&get("identities", identities)),
        get("timeout", "300d"),
        get("attempts", "2"),
    );
    for key in ["categories", "after"] {
        if let Some(value) = rules.get(key) {
            text += &format!("{key} = {}\n", list(value));
        }
    }
    for key in ["verify", "sweep"] {
        if let Some(after) = rules.get(key) {
            text += &format!("{key} = {{ after = \"{after}\" }}\n");
        }
    }
    if rules.contains_key("exempt_unknown") {
        text += "missing_identity = \"exempt\"\n";
    }
    if is_backup {
        let key = if rules.contains_key("key") {
            ", erase_by = \"key\""
        } else {
            ""
        };
        text += &format!(
            "backup = {{ sources = {}, set = \"{}\", keep = \"{}\", confirm_by = \"{}\", overdue_after = \"{}\"{key} }}\n",
            list(&get("of", "")),
            get("set", id),
            get("keep", "35d"),
            get("by", "event"),
            get("overdue", "48h"),
        );
    }
    text + &get("retain", "").split('+').map(retention).collect::<String>()
}

/// `categories:keep:anchor:then`, the last two of which may be left out.
fn retention(rule: &str) -> String {
    let mut parts = rule.split(':');
    let categories = parts.next().unwrap_or_default();
    if categories.is_empty() {
        return String::new();
    }
    let keep = parts.next().unwrap();
    let from = parts.next().filter(|anchor| !anchor.is_empty());
    let from = from.map_or(String::new(), |anchor| format!("from = \"{anchor}\"\n"));
    let then = parts.next().unwrap_or("erase");
    let categories = list(categories);
    format!(
        "[[processor.retention]]\ncategories = {categories}\nbasis = \"tax_law\"\nkeep = \"{keep}\"\nthen = \"{then}\"\n{from}"
    )
}

fn list(text: &str) -> String {
    format!("{:?}", names(text))
}

/// The names of a list that commas separate.
pub fn names(text: &str) -> Vec<&str> {
    text.split(',').filter(|name| !name.is_empty()).collect()
}
