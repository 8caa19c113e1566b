//! Templates: text with placeholders in braces. A value is encoded for the place where it stands, so that no identifier can
//! add a path segment, a parameter, a header or a field of JSON.

use serde::Deserialize;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(pub(super) Vec<Part>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Hole(Hole, Filter),
}

/// A placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hole {
    /// `{settings.NAME}`: a setting of the transport.
    Setting(String),
    /// `{kept.NAME}`: what an earlier step has kept.
    Kept(String),
    /// `{id}`: the identifier that the call is about.
    Id,
    /// `{ids}`: those of a batch.
    Ids,
    /// `{kind}`: the vendor's word for its type.
    Kind,
    /// `{today}`: the date of the call (UTC).
    Today,
    /// `{sent_on}`: the date on which the vendor was asked (UTC).
    SentOn,
    /// `{key}`: the same for every try of a task's generation.
    Key,
}

/// How a value is written besides the encoding of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// As it is.
    #[default]
    None,
    /// Within single quotes of SOQL.
    Soql,
    /// Within double quotes of a search.
    Quoted,
    /// As a number of JSON, where it is one.
    Number,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let within = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let Some((name, after)) = within else {
                return Err(format!(
                    "{text:?}: a brace without its other one; write {{{{ for a brace"
                ));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(hole(name)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

/// Every placeholder, as it is written.
pub const PLACEHOLDERS: &str = "{settings.NAME}, {kept.NAME}, {id}, {ids}, {kind}, {today}, {sent_on}, {key}";

fn hole(text: &str) -> Result<Part, String> {
    let (name, filter) = match text.split_once('|') {
        None => (text, Filter::None),
        Some((name, "soql")) => (name, Filter::Soql),
        Some((name, "quoted")) => (name, Filter::Quoted),
        Some((name, "number")) => (name, Filter::Number),
        Some((_, filter)) => {
            return Err(format!(
                "there is no |{filter}: expected |soql, |quoted or |number"
            ));
        }
    };
    let hole = match name {
        "id" => Hole::Id,
        "ids" => Hole::Ids,
        "kind" => Hole::Kind,
        "today" => Hole::Today,
        "sent_on" => Hole::SentOn,
        "key" => Hole::Key,
        _ => match name.split_once('.') {
            Some(("settings", name)) if !name.is_empty() => Hole::Setting(name.to_owned()),
            Some(("kept", name)) if !name.is_empty() => Hole::Kept(name.to_owned()),
            _ => {
                return Err(format!(
                    "there is no placeholder {{{name}}}: known are {PLACEHOLDERS}"
                ));
            }
        },
    };
    Ok(Part::Hole(hole, filter))
}

impl Template {
    /// Its placeholders.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|part| match part {
            Part::Hole(hole, _) => Some(hole),
            Part::Text(_) => None,
        })
    }

    /// The only thing in it, where that is a placeholder.
    pub(super) fn only_hole(&self) -> Option<(&Hole, Filter)> {
        match self.0.as_slice() {
            [Part::Hole(hole, filter)] => Some((hole, *filter)),
            _ => None,
        }
    }
}

/// Where a value is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The host of a URL.
    Host,
    /// A segment of a path.
    Path,
    /// A parameter of a query, or a field of a form.
    Parameter,
    /// The value of a header.
    Header,
    /// A text of JSON, which is encoded as a whole.
    Json,
}

/// Why a value cannot be written where it should stand. The value itself is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// It would change the meaning of the URL.
    #[error("a value that is empty, . or .. cannot be part of a path")]
    Path,
    /// It is no part of a host's name.
    #[error("a value with other characters than letters, digits, -, _ and . cannot be part of a host")]
    Host,
    /// It would end the header.
    #[error("a value with control characters or letters beyond ASCII cannot be part of a header")]
    Header,
    /// It is not there.
    #[error("there is no value for {0}")]
    Missing(String),
    /// There are several, and the call takes one.
    #[error("there are several values for {{kept.{0}}}, and which of them belongs to this call is not known")]
    Several(String),
    /// It has a character that nothing should have.
    #[error("a value with a NUL cannot be sent")]
    Nul,
}

/// Writes a value for its place.
pub(super) fn written(value: &str, filter: Filter, place: Place) -> Result<String, Unwritable> {
    if value.contains('\0') {
        return Err(Unwritable::Nul);
    }
    let value = match filter {
        Filter::None | Filter::Number => value.to_owned(),
        Filter::Soql => value.replace('\\', "\\\\").replace('\'', "\\'"),
        Filter::Quoted => value.replace('\\', "\\\\").replace('"', "\\\""),
    };
    match place {
        Place::Json => Ok(value),
        Place::Parameter => Ok(percent(&value)),
        Place::Path if matches!(value.as_str(), "" | "." | "..") => Err(Unwritable::Path),
        Place::Path => Ok(percent(&value)),
        Place::Host => {
            let is_of_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
            if !value.is_empty() && value.bytes().all(is_of_host) {
                Ok(value)
            } else {
                Err(Unwritable::Host)
            }
        }
        Place::Header => {
            if value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                Ok(value)
            } else {
                Err(Unwritable::Header)
            }
        }
    }
}

/// All but what RFC 3986 calls unreserved is written with `%`.
pub(super) fn percent(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for b in value.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            write!(out, "%{b:02X}").expect("a String takes everything");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<Template, String> {
        Template::try_from(text.to_owned())
    }

    #[test]
    fn placeholders_are_read_and_unknown_ones_named() {
        let read = template("/v1/{settings.account}/x{{y}}/{id|soql}").unwrap();
        let holes: Vec<_> = read.holes().collect();
        assert_eq!(holes, [&Hole::Setting("account".to_owned()), &Hole::Id]);
        assert!(matches!(&read.0[2], Part::Text(text) if text == "/x{y}/"));
        for (text, says) in [
            ("{email}", "there is no placeholder {email}"),
            ("{settings.}", "there is no placeholder {settings.}"),
            ("{id", "a brace without its other one"),
            ("id}", "a brace without its other one"),
            ("{id|upper}", "there is no |upper"),
        ] {
            assert!(template(text).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn a_value_cannot_leave_its_place() {
        let path = |value| written(value, Filter::None, Place::Path);
        assert_eq!(path("a/../b?x=1#y").unwrap(), "a%2F..%2Fb%3Fx%3D1%23y");
        for bad in ["", ".", ".."] {
            assert_eq!(path(bad), Err(Unwritable::Path), "{bad:?}");
        }
        let parameter = |value| written(value, Filter::None, Place::Parameter).unwrap();
        assert_eq!(parameter("a+b@c.d&e=é"), "a%2Bb%40c.d%26e%3D%C3%A9");
        assert_eq!(
            written("x\r\ny: z", Filter::None, Place::Header),
            Err(Unwritable::Header)
        );
        assert_eq!(
            written("evil.test/x", Filter::None, Place::Host),
            Err(Unwritable::Host)
        );
        assert_eq!(written("a\0b", Filter::None, Place::Json), Err(Unwritable::Nul));
        assert_eq!(
            written("o' or '1'='1", Filter::Soql, Place::Json).unwrap(),
            "o\\' or \\'1\\'=\\'1"
        );
    }
}
