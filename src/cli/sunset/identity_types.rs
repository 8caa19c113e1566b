//! The identity types that some processor takes, and reading identifiers of them.
//!
//! What is said of a value that is refused must never hold it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        identity::{Identity, Implausible},
        ids::IdentityType,
    },
    wire::validate,
};

/// What is wrong with a line, without anything of what it says.
pub(super) type Wrong = String;

/// The identity types that some processor takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Types(pub(super) BTreeSet<IdentityType>);

impl Types {
    /// The type of this name. Another one would reach nobody, and may be no name but somebody's data.
    pub(super) fn get(&self, name: &str) -> Option<&IdentityType> {
        self.0.iter().find(|kind| kind.as_str() == name)
    }

    /// All of them, for people.
    pub(super) fn list(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(IdentityType::as_str).collect();
        names.join(", ")
    }

    /// Reads a line of JSON: `{"identities":[…]}`, or an object of types and values.
    pub(super) fn read_json(&self, text: &[u8]) -> Result<Vec<Identity>, Wrong> {
        let document = validate::check(text).map_err(|refusal| refusal.to_string())?;
        let fields: Map<String, Value> =
            serde_json::from_str(document.text()).map_err(|_| "expected a JSON object".to_owned())?;
        let mut identities = Vec::new();
        match fields.get("identities") {
            Some(Value::Array(list)) if fields.len() == 1 => {
                for (n, entry) in (1..).zip(list) {
                    let place = format!("identity {n}");
                    let kind = entry.get("type").and_then(Value::as_str);
                    let kind = kind.ok_or_else(|| format!("{place}: expected a type and a value"))?;
                    self.add_value(&place, kind, entry.get("value"), &mut identities)?;
                }
            }
            Some(_) => return Err("expected a list of identities, and nothing beside it".to_owned()),
            None => {
                for (kind, value) in &fields {
                    self.add_value("a field", kind, Some(value), &mut identities)?;
                }
            }
        }
        Ok(identities)
    }

    fn add_value(
        &self,
        place: &str,
        kind: &str,
        value: Option<&Value>,
        to: &mut Vec<Identity>,
    ) -> Result<(), Wrong> {
        let kind = self.get(kind).ok_or_else(|| {
            format!(
                "{place}: expected a type that a processor takes ({})",
                self.list()
            )
        })?;
        let text = match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            Some(Value::Null) => return Ok(()),
            _ => return Err(format!("{kind}: expected a text or a whole number")),
        };
        to.extend(identity(kind, text)?);
        Ok(())
    }
}

/// An identifier; `None` where there is no value.
pub(super) fn identity(kind: &IdentityType, value: String) -> Result<Option<Identity>, Wrong> {
    let fault = match Identity::taken(kind.clone(), value) {
        Ok(identity) => return Ok(Some(identity)),
        Err(Implausible::Blank) => return Ok(None),
        Err(fault) => fault,
    };
    Err(match fault {
        Implausible::Nothing => {
            format!("{kind}: the value is a word for nothing, such as NULL; leave it empty")
        }
        fault => format!("{kind}: {fault}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        Types(
            ["email", "customer_id", "phone"]
                .map(|name| IdentityType::new(name).unwrap())
                .into(),
        )
    }

    fn read(text: &str) -> Result<Vec<(String, String)>, Wrong> {
        let found = types().read_json(text.as_bytes())?;
        Ok(found
            .into_iter()
            .map(|found| (found.kind.to_string(), found.value.expose().to_owned()))
            .collect())
    }

    #[test]
    fn both_shapes_of_json_are_read() {
        let expected = vec![
            ("customer_id".to_owned(), "42".to_owned()),
            ("email".to_owned(), "a@b.c".to_owned()),
        ];
        for text in [
            r#"{"customer_id":42,"email":"a@b.c"}"#,
            r#"{"customer_id":"42","email":"a@b.c","phone":null}"#,
            r#"{"identities":[{"type":"customer_id","value":"42"},{"type":"email","value":"a@b.c"}]}"#,
        ] {
            assert_eq!(read(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(read(r#"{"email":" "}"#), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_said_without_its_value() {
        for text in [
            r#"{"canary":"x"}"#,
            r#"{"email":"canary"}"#,
            r#"{"email":"@canary"}"#,
            r#"{"phone":"canary"}"#,
            r#"{"customer_id":"NULL"}"#,
            r#"{"customer_id":"(null)"}"#,
            r#"{"customer_id":"00000000-0000-0000-0000-000000000000"}"#,
            r#"{"customer_id":"1.23457E+15"}"#,
            r#"{"email":"canary@a@b"}"#,
            "{\"email\":\"a@b.c\\ncanary\"}",
            r#"{"customer_id":1.5}"#,
            r#"{"customer_id":["canary"]}"#,
            r#"{"email":"a@canary","email":"a@canary"}"#,
            r#"{"identities":[{"type":"canary","value":"x"}]}"#,
            r#"{"identities":[{"value":"canary"}]}"#,
            r#"{"identities":[{"type":"email","value":"a@canary"}],"phone":"canary"}"#,
            r#"["canary"]"#,
            "canary",
        ] {
            let said = read(text).expect_err(text);
            assert!(!said.contains("canary"), "{text}: {said}");
        }
    }
}
