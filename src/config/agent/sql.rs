//! `[sql]`: a database, and what is erased of it.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    config::{
        reader::{Entry, Section},
        secret::Secret,
        values::Zero,
    },
    domain::ids::{IdentityType, Label},
};

/// A database, and what is erased of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sql {
    /// Where it is. It may hold a password.
    pub url: Secret,
    /// What it speaks.
    pub dialect: Dialect,
    /// How many rows a transaction changes at the most.
    pub chunk: u32,
    /// How long to rest between two transactions that were full.
    pub pause: Duration,
    /// How long a task may take before its rest is left to the next attempt.
    pub longest: Duration,
    /// After how many tasks a table is reported of which no row belonged to any of them.
    pub zero_effect_after: u32,
    /// The key of keyed digests.
    pub hmac: Option<Secret>,
    /// The tables.
    pub tables: Vec<SqlTable>,
}

/// What a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

/// A table that holds personal data.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlTable {
    /// Its name, with its schema before a dot where it has one.
    pub name: String,
    /// The columns that hold identifiers, each with the type.
    pub columns: Vec<(String, IdentityType)>,
    /// How its rows belong to rows of another table.
    pub through: Option<Through>,
    /// The category of its data; `None`: that of its parent, or none.
    pub category: Option<Label>,
    /// When its rows were collected: what is younger than a task's `data_before` stays.
    pub collected_at: Option<String>,
    /// What is done to the rows.
    pub action: Action,
}

/// How the rows of a table belong to rows of another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Through {
    /// The other table.
    pub parent: String,
    /// The column of this table.
    pub column: String,
    /// The column of the other table that has the same value.
    pub parent_column: String,
}

/// What is done to rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// They are deleted.
    Delete,
    /// Some of their columns are changed, so that they are nobody's.
    Anonymize {
        /// The columns, and what they become.
        columns: BTreeMap<String, Anonymized>,
        /// How many rows have to look the same afterwards.
        k_anonymity: Option<KAnonymity>,
    },
}

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Anonymized {
    /// NULL.
    Null,
    /// A text, the same for everybody.
    Replace(String),
    /// A keyed digest: the same for the same value.
    Hmac,
    /// Something less exact.
    Generalize(Generalized),
}

/// How a value becomes less exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generalized {
    /// A date: the first of January of its year.
    Year,
    /// A text: so many characters of it.
    Prefix(u32),
    /// A number: the lower end of a band of so many.
    Band(u32),
}

/// How many rows have to look the same.
#[derive(Debug, Clone, PartialEq)]
pub struct KAnonymity {
    /// In these columns.
    pub columns: Vec<String>,
    /// So many at the least.
    pub k: u32,
}

/// The shortest key of keyed digests, in bytes.
const SHORTEST_KEY: usize = 32;

/// Reads `{ key = "…" }`.
pub(super) fn hmac(entry: &Entry<'_>) -> Option<Secret> {
    entry
        .table(|section| section.need("key").and_then(|e| key(&e)))
        .flatten()
}

/// Reads the section. `outside`: a key that stands outside of it.
pub(super) fn read(section: &Section<'_>, outside: Option<Secret>) -> Option<Sql> {
    let url = section.need("url").and_then(|e| {
        let source = e.secret_source()?;
        let url = e.resolved(&source)?;
        let dialect = dialect(&url);
        if dialect.is_none() {
            e.problem(
                "expected postgres://…, mysql://… or sqlite:…, or env:NAME or file:PATH that has one of them",
            );
        }
        Some((url, dialect?))
    });
    let hmac = section.get("hmac").and_then(|e| hmac(&e)).or(outside);
    let tables = section.need("table").and_then(|e| e.list()).unwrap_or_default();
    let read: Vec<SqlTable> = tables.iter().filter_map(table).collect();
    if read.len() == tables.len() {
        check(section, &tables, &read, hmac.is_some());
    }
    let (url, dialect) = url?;
    Some(Sql {
        url,
        dialect,
        chunk: section.integer_or("chunk", 1..=10_000, 1000),
        pause: section.duration_or("pause", Zero::Allowed, Duration::ZERO),
        longest: section.duration_or("longest", Zero::Refused, Duration::from_secs(900)),
        zero_effect_after: section.integer_or("zero_effect_after", 1..=1_000_000, 1000),
        hmac,
        tables: read,
    })
}

fn dialect(url: &Secret) -> Option<Dialect> {
    let (scheme, _) = url.expose().split_once(':')?;
    match scheme {
        "postgres" | "postgresql" => Some(Dialect::Postgres),
        "mysql" | "mariadb" => Some(Dialect::MySql),
        "sqlite" => Some(Dialect::Sqlite),
        _ => None,
    }
}

fn key(entry: &Entry<'_>) -> Option<Secret> {
    let source = entry.secret_source()?;
    let key = entry.resolved(&source)?;
    if key.expose().len() < SHORTEST_KEY {
        return entry.refused("expected a key of 32 bytes or more");
    }
    Some(key)
}

fn table(entry: &Entry<'_>) -> Option<SqlTable> {
    entry.table(read_table).flatten()
}

fn read_table(section: &Section<'_>) -> Option<SqlTable> {
    let name = section.need("name").and_then(|e| db_name(&e));
    let columns = section.get("match").and_then(|e| columns(&e));
    let through = section.get("through").and_then(|e| e.table(through).flatten());
    let is_either = section.get("match").is_some() != section.get("through").is_some();
    if !is_either {
        section.problem("match", "expected match or through, one of them");
    }
    let category = section.get("category").and_then(|e| e.checked(Label::new));
    let collected_at = section.get("collected_at").and_then(|e| db_name(&e));
    let k_anonymity = section
        .get("k_anonymity")
        .and_then(|e| e.table(k_anonymity).flatten());
    let action = section
        .need("action")
        .and_then(|e| action(&e, k_anonymity.clone()));
    if k_anonymity.is_some() && matches!(action, Some(Action::Delete)) {
        section.problem("k_anonymity", "only rows that are anonymized can be alike");
    }
    if !is_either {
        return None;
    }
    Some(SqlTable {
        name: name?,
        columns: columns.unwrap_or_default(),
        through,
        category,
        collected_at,
        action: action?,
    })
}

/// The name of a table or a column. Whether there is one, the database's catalogue says.
fn db_name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.line_of_text()?;
    if text.len() > 128 || text.trim() != text {
        return entry.refused("expected the name of a table or a column, without blanks around it");
    }
    Some(text.to_owned())
}

fn columns(entry: &Entry<'_>) -> Option<Vec<(String, IdentityType)>> {
    let read = entry.table(|section| {
        section.take_any();
        let columns = section.entries();
        if columns.is_empty() {
            entry.problem("expected at least one column");
        }
        let columns = columns.into_iter().map(|(column, kind)| {
            let kind = kind.checked(IdentityType::new)?;
            Some((column.to_owned(), kind))
        });
        columns.collect::<Option<Vec<_>>>()
    });
    read.flatten()
}

fn through(section: &Section<'_>) -> Option<Through> {
    let parent = section.need("parent").and_then(|e| db_name(&e));
    let column = section.need("column").and_then(|e| db_name(&e));
    let parent_column = section.need("parent_column").and_then(|e| db_name(&e));
    Some(Through {
        parent: parent?,
        column: column?,
        parent_column: parent_column?,
    })
}

fn k_anonymity(section: &Section<'_>) -> Option<KAnonymity> {
    let columns = section.need("columns").and_then(|e| e.some_set(db_name));
    let k = section.need("k").and_then(|e| e.integer(2..=100_000));
    Some(KAnonymity {
        columns: columns?,
        k: k?,
    })
}

fn action(entry: &Entry<'_>, k_anonymity: Option<KAnonymity>) -> Option<Action> {
    if entry.is_text() {
        return entry.word(&[("delete", ())]).map(|()| Action::Delete);
    }
    let columns = entry.table(|section| {
        let entry = section.need("anonymize")?;
        let columns = entry.table(|section| {
            section.take_any();
            let columns = section.entries();
            let columns = columns
                .into_iter()
                .map(|(column, entry)| Some((column.to_owned(), anonymized(&entry)?)));
            columns.collect::<Option<BTreeMap<_, _>>>()
        });
        let columns = columns.flatten()?;
        if columns.is_empty() {
            return entry.refused("expected at least one column");
        }
        Some(columns)
    });
    Some(Action::Anonymize {
        columns: columns.flatten()?,
        k_anonymity,
    })
}

fn anonymized(entry: &Entry<'_>) -> Option<Anonymized> {
    if entry.is_text() {
        return match entry.text()? {
            "null" => Some(Anonymized::Null),
            "hmac" => Some(Anonymized::Hmac),
            _ => entry.refused("expected null, hmac, { replace = \"…\" } or { generalize = \"…\" }"),
        };
    }
    let read = entry.table(
        |section| match (section.get("replace"), section.get("generalize")) {
            (Some(replace), None) => replace.text().map(|text| Anonymized::Replace(text.to_owned())),
            (None, Some(generalize)) => generalize.checked(generalized).map(Anonymized::Generalize),
            _ => entry.refused("expected replace or generalize, one of them"),
        },
    );
    read.flatten()
}

fn generalized(text: &str) -> Result<Generalized, &'static str> {
    const EXPECTED: &str = "expected year, prefix:N or band:N, such as prefix:3 or band:10";
    if text == "year" {
        return Ok(Generalized::Year);
    }
    let (word, number) = text.split_once(':').ok_or(EXPECTED)?;
    let number: u32 = number.parse().map_err(|_| EXPECTED)?;
    match (word, number) {
        ("prefix", 1..=100) => Ok(Generalized::Prefix(number)),
        ("band", 2..=1000) => Ok(Generalized::Band(number)),
        _ => Err(EXPECTED),
    }
}

/// What has to fit among the tables.
fn check(section: &Section<'_>, entries: &[Entry<'_>], tables: &[SqlTable], has_key: bool) {
    if tables.is_empty() {
        section.problem("table", "expected at least one [[sql.table]]");
    }
    for (n, (entry, table)) in entries.iter().zip(tables).enumerate() {
        if tables.iter().take(n).any(|other| other.name == table.name) {
            entry.problem(&format!("the table {} is there twice", table.name));
        }
        if let Some(through) = &table.through {
            match tables.iter().find(|other| other.name == through.parent) {
                None => entry.problem(&format!(
                    "through.parent: there is no [[sql.table]] named {}",
                    through.parent
                )),
                Some(_) if is_its_own_ancestor(tables, &table.name) => {
                    entry.problem("through leads back to the table itself");
                }
                Some(_) => {}
            }
        }
        if let Action::Anonymize { columns, .. } = &table.action
            && columns.values().any(|to| *to == Anonymized::Hmac)
            && !has_key
        {
            entry.problem("hmac needs a key: [sql] hmac = { key = \"env:NAME\" }");
        }
    }
}

fn is_its_own_ancestor(tables: &[SqlTable], name: &str) -> bool {
    let parent_of = |name: &str| {
        let table = tables.iter().find(|table| table.name == name)?;
        Some(table.through.as_ref()?.parent.as_str())
    };
    let mut at = name;
    for _ in 0..=tables.len() {
        match parent_of(at) {
            Some(parent) if parent == name => return true,
            Some(parent) => at = parent,
            None => return false,
        }
    }
    true
}
