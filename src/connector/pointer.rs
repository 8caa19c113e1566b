//! JSON pointers (RFC 6901) with `*` for every element of a list.

use serde::Deserialize;
use serde_json::Value;

/// Where something stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(Vec<String>);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!(
                "{text:?} is no JSON pointer: it begins with /, such as /results/*/id"
            ));
        };
        Ok(Self(
            rest.split('/')
                .map(|part| part.replace("~1", "/").replace("~0", "~"))
                .collect(),
        ))
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl Pointer {
    /// What it leads to: several values where it has a `*`.
    pub fn find<'a>(&self, within: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![within];
        for part in &self.0 {
            found = found.into_iter().flat_map(|value| step(value, part)).collect();
        }
        found.retain(|value| !value.is_null());
        found
    }

    /// Whether it may lead to several places.
    pub fn has_star(&self) -> bool {
        self.0.iter().any(|part| part == "*")
    }

    /// Whether it leads to a text or a number, and from every element of the lists on its way.
    pub fn leads_everywhere(&self, within: &Value) -> bool {
        fn leads(value: &Value, parts: &[String]) -> bool {
            let Some((part, rest)) = parts.split_first() else {
                return text_of(value).is_some();
            };
            let found = step(value, part);
            !found.is_empty() && found.into_iter().all(|value| leads(value, rest))
        }
        leads(within, &self.0)
    }

    /// The same as texts: numbers in their decimal form, and nothing that is no text and no number.
    pub fn texts(&self, within: &Value) -> Vec<String> {
        self.find(within).into_iter().filter_map(text_of).collect()
    }
}

fn step<'a>(value: &'a Value, part: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(list) if part == "*" => list.iter().collect(),
        Value::Array(list) => part
            .parse()
            .ok()
            .and_then(|place: usize| list.get(place))
            .into_iter()
            .collect(),
        Value::Object(map) if part == "*" => map.values().collect(),
        Value::Object(map) => map.get(part).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A text, or a number as text.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(pointer: &str, within: &Value) -> Vec<String> {
        Pointer::try_from(pointer.to_owned()).unwrap().texts(within)
    }

    #[test]
    fn a_star_finds_every_element() {
        let answer =
            json!({"results": [{"id": "a"}, {"id": 7}, {"id": null}, {"other": "x"}], "a/b": "slash"});
        assert_eq!(texts("/results/*/id", &answer), ["a", "7"]);
        assert_eq!(texts("/results/1/id", &answer), ["7"]);
        assert_eq!(texts("/a~1b", &answer), ["slash"]);
        assert!(texts("/nothing/*/here", &answer).is_empty());
        assert_eq!(texts("", &json!("whole")), ["whole"]);
        assert!(Pointer::try_from("results".to_owned()).is_err());
    }

    #[test]
    fn an_element_without_the_id_is_noticed() {
        let leads = |pointer: &str, within| {
            let pointer = Pointer::try_from(pointer.to_owned()).unwrap();
            pointer.leads_everywhere(&within)
        };
        assert!(leads("/data/*/id", json!({"data": [{"id": "a"}, {"id": 7}]})));
        assert!(!leads(
            "/data/*/id",
            json!({"data": [{"id": "a"}, {"name": "b"}]})
        ));
        assert!(!leads("/data/*/id", json!({"data": [{"id": "a"}, {"id": null}]})));
        assert!(!leads("/data/*/id", json!({"data": []})));
        assert!(!leads("/data/*/id", json!({})));
        assert!(leads("/id", json!({"id": "a"})));
    }
}
