//! Settings from the environment: `LACUNA_KAFKA__BOOTSTRAP_SERVERS` is `kafka.bootstrap_servers`. They win over the file.
//!
//! Two underscores stand for a dot. Everything after `LACUNA_` that has them is a setting, and so is the name of a key outside of any
//! section, such as `LACUNA_REGION`. Any other variable is somebody's own, such as one that the file names as `env:LACUNA_CRM_TOKEN`.

use std::ffi::OsString;

use toml_edit::{InlineTable, Item, TableLike, Value};

use super::problems::Problem;

const PREFIX: &str = "LACUNA_";

/// The keys outside of any section. A test compares them with those that are read.
pub(super) const OUTSIDE_OF_SECTIONS: &[&str] = &["region", "shutdown_timeout", "tenant_default", "tenants"];

/// What the environment sets.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// By path, so that a table comes before what is in it.
    set: Vec<Setting>,
    wrong: Vec<Problem>,
}

/// A setting and the variable that it comes from.
#[derive(Debug)]
struct Setting {
    path: Vec<String>,
    variable: String,
    value: Value,
}

impl Settings {
    /// Those of a process. What is no setting is passed over, unless it is one that was written with too few underscores.
    pub(super) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut settings = Self::default();
        let known = known_keys();
        for (variable, text) in variables {
            let Some(variable) = variable.to_str() else {
                continue;
            };
            let Some(name) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            let name = name.to_ascii_lowercase();
            if !name.contains("__") && !OUTSIDE_OF_SECTIONS.contains(&name.as_str()) {
                if let Some(key) = known.iter().find(|key| key.replace('.', "_") == name) {
                    let meant = key.replace('.', "__").to_ascii_uppercase();
                    settings.refuse(variable, &format!("no setting: {key} is {PREFIX}{meant}"));
                }
                continue;
            }
            match text.to_str().map(value_of) {
                Some(Ok(value)) => settings.add(variable, &name, value),
                Some(Err(message)) => settings.refuse(variable, &message),
                None => settings.refuse(variable, "expected UTF-8, found other bytes"),
            }
        }
        settings.set.sort_by(|left, right| left.path.cmp(&right.path));
        settings
    }

    fn add(&mut self, variable: &str, name: &str, value: Value) {
        let path: Vec<String> = name.split("__").map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            self.refuse(
                variable,
                "expected LACUNA_SECTION__KEY, such as LACUNA_KAFKA__GROUP_ID",
            );
            return;
        }
        self.set.push(Setting {
            path,
            variable: variable.to_owned(),
            value,
        });
    }

    fn refuse(&mut self, variable: &str, message: &str) {
        self.wrong.push(Problem {
            file: variable.to_owned(),
            line: None,
            key: String::new(),
            message: message.to_owned(),
        });
    }

    /// What is wrong with the variables themselves.
    pub(super) fn wrong(&self) -> &[Problem] {
        &self.wrong
    }

    /// Puts them into what the file says.
    pub(super) fn put_into(&self, root: &mut dyn TableLike) {
        for setting in &self.set {
            put(root, &setting.path, &setting.value);
        }
    }

    /// The variable that a key comes from, or the table or list that it is in.
    pub(super) fn variable_of(&self, key: &str) -> Option<&str> {
        // The innermost: of a table and a key of it the key's.
        let found = self.set.iter().rev().find(|setting| {
            let path = setting.path.join(".");
            key.strip_prefix(path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        found.map(|setting| setting.variable.as_str())
    }

    /// A variable that sets something in this table.
    pub(super) fn variable_within(&self, table: &str) -> Option<&str> {
        let is_within = |setting: &&Setting| {
            let path = setting.path.join(".");
            path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
        };
        let found = self.set.iter().find(is_within);
        found.map(|setting| setting.variable.as_str())
    }

    /// Each key that is set, and by which variable.
    pub(super) fn list(&self) -> Vec<(String, String)> {
        let one = |setting: &Setting| (setting.path.join("."), setting.variable.clone());
        self.set.iter().map(one).collect()
    }
}

fn put(table: &mut dyn TableLike, path: &[String], value: &Value) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert(key, Item::Value(value.clone()));
        return;
    }
    if !table.get(key).is_some_and(Item::is_table_like) {
        table.insert(key, Item::Value(Value::InlineTable(InlineTable::new())));
    }
    if let Some(inner) = table.get_mut(key).and_then(Item::as_table_like_mut) {
        put(inner, rest, value);
    }
}

/// A list, a table and a quoted text are read as in the file; anything else is taken as it stands, whatever type its key has.
fn value_of(text: &str) -> Result<Value, String> {
    if !text.starts_with(['[', '{', '"', '\'']) {
        return Ok(Value::from(text));
    }
    // The parser's messages are its own words: they hold nothing of the text, which may be a secret.
    text.parse::<Value>().map_err(|error| {
        let why = error.message().lines().next().unwrap_or_default().to_owned();
        format!("no valid value of TOML: {why}")
    })
}

/// Every key of the default configuration, also of those that are commented out there.
fn known_keys() -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in super::Config::print_default().lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            keys.push(format!("{section}{key}"));
        }
    }
    keys
}
