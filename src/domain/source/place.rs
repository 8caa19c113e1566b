//! Where something lies in an event: a pointer into its document, a header, or its key.

use std::fmt;

/// Why a text is no place in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// It begins with something else.
    #[error(
        "expected a JSON pointer, which begins with /, such as /data/customerId, or header: and a header's name, or key: for the \
         record's key"
    )]
    Start,
    /// A `~` that escapes nothing.
    #[error("expected a JSON pointer, in which ~ is written ~0 and / is written ~1")]
    Escape,
    /// What follows `header:` is no name of a header.
    #[error("expected the name of a header after header:")]
    Header,
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        let steps = text.strip_prefix('/').ok_or(BadPlace::Start)?;
        let steps: Result<Vec<String>, BadPlace> = steps.split('/').map(unescaped).collect();
        Ok(Self {
            text: text.to_owned(),
            steps: steps?,
        })
    }

    /// The keys and indexes on the way, from the outermost.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }
}

fn unescaped(step: &str) -> Result<String, BadPlace> {
    let mut parts = step.split('~');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_at_checked(1) {
            Some(("0", rest)) => whole.extend(["~", rest]),
            Some(("1", rest)) => whole.extend(["/", rest]),
            _ => return Err(BadPlace::Escape),
        }
    }
    Ok(whole)
}

/// Where something lies in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In its document.
    Pointer(Pointer),
    /// In a header of its record or of its call; in lower case.
    Header(String),
    /// In the key of its record: the whole of it, or what a pointer leads to in a key of JSON.
    Key(Option<Pointer>),
}

impl Place {
    /// Reads it: a pointer, `header:` and a name, `key:`, or `key:` and a pointer.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        if let Some(pointer) = text.strip_prefix("key:") {
            let pointer = (!pointer.is_empty()).then(|| Pointer::parse(pointer));
            return pointer.transpose().map(Self::Key);
        }
        let Some(name) = text.strip_prefix("header:") else {
            return Pointer::parse(text).map(Self::Pointer);
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(BadPlace::Header);
        }
        Ok(Self::Header(name.to_ascii_lowercase()))
    }

    /// Whether it is this place of the document.
    pub fn is_pointer(&self, text: &str) -> bool {
        matches!(self, Self::Pointer(pointer) if pointer.text == text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => f.write_str(&pointer.text),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Key(None) => f.write_str("key:"),
            Self::Key(Some(pointer)) => write!(f, "key:{}", pointer.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_is_read_as_rfc_6901_says() {
        let cases: [(&str, &[&str]); 5] = [
            ("/type", &["type"]),
            ("/data/customerId", &["data", "customerId"]),
            ("/a~1b/m~0n", &["a/b", "m~n"]),
            ("/", &[""]),
            ("/list/0", &["list", "0"]),
        ];
        for (text, steps) in cases {
            assert_eq!(Pointer::parse(text).unwrap().steps(), steps, "{text}");
        }
    }

    #[test]
    fn wrong_place_is_refused_with_what_was_expected() {
        let cases = [
            ("", BadPlace::Start),
            ("type", BadPlace::Start),
            ("$.type", BadPlace::Start),
            ("/a~", BadPlace::Escape),
            ("/a~2", BadPlace::Escape),
            ("header:", BadPlace::Header),
            ("header:a b", BadPlace::Header),
        ];
        for (text, expected) in cases {
            assert_eq!(Place::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn key_is_read_whole_or_by_a_pointer() {
        for text in ["key:", "key:/id", "header:id", "/id"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Place::parse("key:id"), Err(BadPlace::Start));
    }

    #[test]
    fn header_is_found_in_either_case() {
        assert_eq!(
            Place::parse("header:X-Shopify-Topic"),
            Ok(Place::Header("x-shopify-topic".to_owned()))
        );
    }
}
