//! A call as it is made: a step's templates, filled in.

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    kept::Kept,
    language::{Connector, Step},
    template::{Filter, Hole, Part, Place, Template, Unwritable, percent, written},
};

/// The values of a registration's settings, secrets among them.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, Zeroizing<String>>);

impl Values {
    /// Sets one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), Zeroizing::new(value.to_owned()));
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the placeholders of a call stand for.
#[derive(Clone, Copy)]
pub struct Filling<'a> {
    /// The settings.
    pub values: &'a Values,
    /// The vendor's word for the type of what it is called with.
    pub kind: &'a str,
    /// What it is called with: several in a batch.
    pub ids: &'a [&'a str],
    /// What was kept.
    pub kept: &'a Kept,
    /// The date of the call.
    pub today: &'a str,
    /// The same for every try of a task's generation; none in a batch.
    pub key: &'a str,
}

impl std::fmt::Debug for Filling<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filling")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A call.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rendered {
    /// The method of HTTP.
    pub method: &'static str,
    /// The URL up to its path.
    pub base: String,
    /// The path and the query.
    pub path: String,
    /// Its own headers.
    pub headers: Vec<Header>,
    /// What it brings.
    pub content: Content,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// A header of a call.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether there is a secret in it.
    pub is_secret: bool,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Header").field(&self.name).finish()
    }
}

/// What a call brings.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// Nothing.
    None,
    /// JSON.
    Json(String),
    /// A form.
    Form(String),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Content {
    /// Its type, where there is something.
    pub const fn kind(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
        }
    }

    /// Its bytes.
    pub fn text(&self) -> &str {
        match self {
            Self::None => "",
            Self::Json(text) | Self::Form(text) => text,
        }
    }
}

impl Filling<'_> {
    fn value(&self, hole: &Hole) -> Result<String, Unwritable> {
        let missing = |name: &str| Unwritable::Missing(name.to_owned());
        Ok(match hole {
            Hole::Setting(name) => self.values.get(name).ok_or_else(|| missing(name))?.to_owned(),
            Hole::Kept(name) => match self.kept.get(name) {
                [] => return Err(missing(name)),
                [one] => one.expose().to_owned(),
                // Which of them belongs to this call is not known, and the first is no better than the others.
                _ => return Err(Unwritable::Several(name.clone())),
            },
            Hole::Id => (*self.ids.first().ok_or_else(|| missing("id"))?).to_owned(),
            Hole::Ids => self.ids.join(","),
            Hole::Kind => self.kind.to_owned(),
            Hole::Today => self.today.to_owned(),
            Hole::SentOn => self
                .kept
                .sent
                .map_or_else(|| self.today.to_owned(), |at| date_of(&at.to_string())),
            Hole::Key => self.key.to_owned(),
        })
    }

    /// A text with its placeholders filled in.
    pub fn text(&self, template: &Template, place: Place) -> Result<String, Unwritable> {
        let mut out = String::new();
        for part in &template.0 {
            match part {
                // It stands in the file as people read it.
                Part::Text(text) if place == Place::Parameter => out.push_str(&percent(text)),
                Part::Text(text) => out.push_str(text),
                Part::Hole(hole, filter) => out.push_str(&written(&self.value(hole)?, *filter, place)?),
            }
        }
        Ok(out)
    }

    /// The whole of a value is encoded at once, so that `/` in an id stays in its segment and `@` is one character.
    fn json(&self, value: &Value) -> Result<Value, Unwritable> {
        Ok(match value {
            Value::String(text) => self.json_text(text)?,
            Value::Array(list) => Value::Array(list.iter().map(|v| self.json(v)).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                let mut out = serde_json::Map::new();
                for (key, value) in map {
                    // Keys may be the vendor's word for the type.
                    let Value::String(key) = self.json_text(key)? else {
                        return Err(Unwritable::Missing(key.clone()));
                    };
                    out.insert(key, self.json(value)?);
                }
                Value::Object(out)
            }
            other => other.clone(),
        })
    }

    fn json_text(&self, text: &str) -> Result<Value, Unwritable> {
        let template = Template::try_from(text.to_owned()).map_err(Unwritable::Missing)?;
        let number = |text: &str, filter| match text.parse::<u64>() {
            Ok(number) if filter == Filter::Number => Value::from(number),
            _ => Value::from(text),
        };
        match template.only_hole() {
            Some((Hole::Ids, filter)) => {
                let ids = self.ids.iter().map(|id| written(id, filter, Place::Json));
                let ids = ids.map(|id| id.map(|id| number(&id, filter)));
                Ok(Value::Array(ids.collect::<Result<_, _>>()?))
            }
            Some((hole, Filter::Number)) => Ok(number(
                &written(&self.value(hole)?, Filter::None, Place::Json)?,
                Filter::Number,
            )),
            _ => self.text(&template, Place::Json).map(Value::from),
        }
    }

    fn parameters(&self, of: &BTreeMap<String, Template>) -> Result<String, Unwritable> {
        let mut out = String::new();
        for (name, template) in of {
            let name = Template::try_from(name.clone()).map_err(Unwritable::Missing)?;
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&self.text(&name, Place::Parameter)?);
            out.push('=');
            out.push_str(&self.text(template, Place::Parameter)?);
        }
        Ok(out)
    }

    /// The headers of a call: one of a step takes the place of the connector's of the same name.
    fn headers(&self, connector: &Connector, step: &Step) -> Result<Vec<Header>, Unwritable> {
        let mut headers: Vec<Header> = Vec::new();
        for (name, template) in connector.headers.iter().chain(&step.headers) {
            headers.retain(|known| !known.name.eq_ignore_ascii_case(name));
            headers.push(Header {
                name: name.clone(),
                value: self.text(template, Place::Header)?,
                is_secret: template.holes().any(|hole| connector.is_secret(hole)),
            });
        }
        Ok(headers)
    }
}

/// The date of a time in RFC 3339.
pub fn date_of(time: &str) -> String {
    time.chars().take(10).collect()
}

impl Step {
    /// The call that it makes.
    pub fn render(&self, connector: &Connector, filling: Filling<'_>) -> Result<Rendered, Unwritable> {
        let base = self.base.as_ref().unwrap_or(&connector.base);
        let mut path = filling.text(&self.path, Place::Path)?;
        let query = filling.parameters(&self.query)?;
        if !query.is_empty() {
            path.push('?');
            path.push_str(&query);
        }
        let content = match (&self.json, &self.form) {
            (Some(json), _) => Content::Json(filling.json(json)?.to_string()),
            (None, Some(form)) => Content::Form(filling.parameters(form)?),
            (None, None) => Content::None,
        };
        Ok(Rendered {
            method: self.method.as_str(),
            base: filling.text(base, Place::Host)?,
            path,
            headers: filling.headers(connector, self)?,
            content,
        })
    }
}
