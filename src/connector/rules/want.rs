//! What has to stand somewhere in an answer.

use serde::Deserialize;
use serde_json::Value;

use crate::connector::pointer::text_of;

/// What has to stand somewhere.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Want {
    /// `{ exists = true }`, `{ empty = true }`, `{ contains = "text" }`.
    Test(Test),
    /// One of these.
    OneOf(Vec<Value>),
    /// This.
    Is(Value),
}

/// A test of what stands somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Test {
    exists: Option<bool>,
    empty: Option<bool>,
    contains: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    exists: Option<bool>,
    #[serde(default)]
    empty: Option<bool>,
    #[serde(default)]
    contains: Option<String>,
}

impl TryFrom<Written> for Test {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written {
            exists,
            empty,
            contains,
        } = written;
        if exists.is_none() && empty.is_none() && contains.is_none() {
            return Err("it would hold for everything");
        }
        Ok(Self {
            exists,
            empty,
            contains,
        })
    }
}

/// As people read it after the place: `is "done"`, `is missing`.
impl std::fmt::Display for Want {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Is(value) => write!(f, "is {value}"),
            Self::OneOf(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(f, "is one of {}", values.join(", "))
            }
            Self::Test(Test {
                exists,
                empty,
                contains,
            }) => {
                let words = [
                    exists.map(|exists| if exists { "is there" } else { "is missing" }.to_owned()),
                    empty.map(|empty| if empty { "is empty" } else { "is not empty" }.to_owned()),
                    contains.as_ref().map(|text| format!("contains {text:?}")),
                ];
                let words: Vec<String> = words.into_iter().flatten().collect();
                f.write_str(&words.join(" and "))
            }
        }
    }
}

impl Want {
    /// Whether it is no value and no test that there is: a test with a typing error would never hold.
    pub(in crate::connector) fn is_mistaken(&self) -> bool {
        match self {
            Self::Test(_) => false,
            Self::OneOf(values) => values.is_empty() || values.iter().any(Value::is_object),
            Self::Is(value) => value.as_object().is_some_and(|object| !object.is_empty()),
        }
    }

    /// Whether it holds only where something stands there: that something is missing is no proof of anything.
    pub(in crate::connector) const fn needs_something(&self) -> bool {
        match self {
            Self::Test(test) => {
                matches!(test.exists, Some(true)) || test.empty.is_some() || test.contains.is_some()
            }
            Self::OneOf(_) | Self::Is(_) => true,
        }
    }

    pub(in crate::connector) fn holds(&self, found: &[&Value]) -> bool {
        match self {
            Self::Test(test) => test.holds(found),
            Self::OneOf(values) => found.iter().any(|value| values.contains(value)),
            Self::Is(wanted) => found.contains(&wanted),
        }
    }
}

impl Test {
    fn holds(&self, found: &[&Value]) -> bool {
        // What is not there is no proof that there is nothing: a page of a proxy has no records either.
        let is_empty = found.iter().all(|value| match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_u64() == Some(0),
            _ => false,
        });
        let contains = |wanted: &String| {
            let has = |value: &&Value| text_of(value).is_some_and(|text| text.contains(wanted.as_str()));
            found.iter().any(has)
        };
        self.exists.is_none_or(|wanted| wanted != found.is_empty())
            && self
                .empty
                .is_none_or(|wanted| !found.is_empty() && wanted == is_empty)
            && self.contains.as_ref().is_none_or(contains)
    }
}
