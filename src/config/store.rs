//! `[store]`: the database.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    reader::Section,
    secret::{Secret, SecretSource},
};

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Where it is.
    pub url: StoreUrl,
}

/// Where the database is. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file, for one machine.
    Sqlite(PathBuf),
    /// A PostgreSQL database; the whole URL, with its password.
    Postgres(Secret),
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            // Options and user may hold a password too, so only host and database are shown.
            Self::Postgres(url) => match PostgresParts::of(url.expose()) {
                Some(parts) => write!(f, "postgres://{}{}", parts.host, parts.database),
                None => f.write_str("postgres://[redacted]"),
            },
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What of a URL can be shown.
struct PostgresParts<'a> {
    host: &'a str,
    database: &'a str,
}

impl<'a> PostgresParts<'a> {
    /// Takes a URL apart; `None` if it is not one that can be shown without its password.
    fn of(url: &'a str) -> Option<Self> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end)?;
        // An `@` further on, or a `#`, is a password that is not percent-encoded: the host would be a part of it.
        if tail.contains(['@', '#']) {
            return None;
        }
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let port = host
            .rsplit_once(':')
            .filter(|_| !host.ends_with(']'))
            .map(|(_, port)| port);
        let plain = host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]%".contains(&b));
        if !plain || port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return None;
        }
        let database = tail.split('?').next().unwrap_or_default();
        (!database.contains(char::is_control)).then_some(Self { host, database })
    }
}

pub(super) fn read(section: &Section<'_>) -> Store {
    let entry = section.get("url");
    let default = StoreUrl::Sqlite(section.folder().join("lacuna.db"));
    let url = entry.and_then(|entry| {
        // An address with a password belongs into the environment or a file, so those notations are taken here too.
        let text = match entry.secret_source()? {
            source @ (SecretSource::Env(_) | SecretSource::File(_)) => entry.resolved(&source)?,
            SecretSource::Plain(text) => text,
            SecretSource::Digest(_) => return entry.refused(EXPECTED),
        };
        parse(section.folder(), text.expose())
            .map_err(|message| entry.problem(message))
            .ok()
    });
    Store {
        url: url.unwrap_or(default),
    }
}

const EXPECTED: &str = "expected sqlite:PATH or postgres://user:password@host:port/database";

fn parse(folder: &Path, text: &str) -> Result<StoreUrl, &'static str> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() || path.contains(char::is_control) {
            Err(EXPECTED)
        } else if path == ":memory:" || path == ":memory" {
            Err("expected a file: a database in memory would forget its requests")
        } else if path.contains('?') {
            Err("expected a path without options: Lacuna sets SQLite's own")
        } else {
            Ok(StoreUrl::Sqlite(folder.join(path)))
        };
    }
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(EXPECTED);
    }
    match PostgresParts::of(text) {
        Some(_) => Ok(StoreUrl::Postgres(Secret::new(text))),
        None => Err("expected postgres://user:password@host:port/database; \
                     in user and password / ? # @ : and % have to be percent-encoded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_shown_without_its_password() {
        let cases = [
            (
                "postgres://lacuna:hunter2@db:5432/lacuna?sslmode=require&password=x",
                "postgres://db:5432/lacuna",
            ),
            (
                "postgresql://lacuna:hunter2@[::1]/lacuna",
                "postgres://[::1]/lacuna",
            ),
            ("postgres://db/lacuna", "postgres://db/lacuna"),
            ("postgres:///lacuna?host=/run/postgresql", "postgres:///lacuna"),
            ("postgres://a:b@c:p@db", "postgres://db"),
        ];
        for (url, expected) in cases {
            let store = parse(Path::new(""), url).unwrap();
            assert_eq!(store.to_string(), expected);
            assert_eq!(format!("{store:?}"), expected);
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_rather_than_shown() {
        for url in [
            "postgres://u:p/w@db/x",
            "postgres://u:p?w@db/x",
            "postgres://u:p#w",
            "postgres://u:hunter2",
        ] {
            assert!(parse(Path::new(""), url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_file_is_found_beside_the_configuration() {
        let cases = [
            ("sqlite:lacuna.db", "etc/lacuna.db"),
            ("sqlite://lacuna.db", "etc/lacuna.db"),
            ("sqlite:/var/lacuna.db", "/var/lacuna.db"),
            ("sqlite:///var/lacuna.db", "/var/lacuna.db"),
        ];
        for (url, path) in cases {
            assert_eq!(parse(Path::new("etc"), url), Ok(StoreUrl::Sqlite(path.into())));
        }
    }
}
