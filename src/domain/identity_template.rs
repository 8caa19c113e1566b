//! Texts with places for identifiers: `users/{customer_id}/`.

use std::fmt;

use super::{identity::Identity, ids::IdentityType};

/// A text with places for identifiers, of one or more types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(IdentityType),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A brace stands alone.
    #[error("expected a text with places such as {{customer_id}}: a brace has no partner")]
    Brace,
    /// What stands between braces is no type of identity.
    #[error("expected a type of identity between braces, [a-z0-9_]{{1,64}}")]
    Type,
    /// It names nobody.
    #[error(
        "expected at least one place for an identifier, such as {{customer_id}}: without one it is the same for everybody"
    )]
    NoPlace,
}

impl Template {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            let inside = from.strip_prefix('{').ok_or(BadTemplate::Brace)?;
            let (name, after) = inside.split_once('}').ok_or(BadTemplate::Brace)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let kind = IdentityType::new(name).map_err(|_| BadTemplate::Type)?;
            parts.push(Part::Place(kind));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.iter().any(|part| matches!(part, Part::Place(_))) {
            Ok(Self(parts))
        } else {
            Err(BadTemplate::NoPlace)
        }
    }

    /// The texts of a subject: one for each identifier of a type that it names; of several places, each combination. None, where
    /// the subject lacks one of them.
    pub fn fill(&self, identities: &[Identity], encode: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in &self.0 {
            match part {
                Part::Text(text) => texts.iter_mut().for_each(|one| one.push_str(text)),
                Part::Place(kind) => {
                    let of_kind = identities.iter().filter(|one| one.kind == *kind);
                    let values: Vec<String> = of_kind.filter_map(|one| encode(one.value.expose())).collect();
                    texts = texts
                        .iter()
                        .flat_map(|text| values.iter().map(move |value| format!("{text}{value}")))
                        .collect();
                }
            }
        }
        texts
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Place(kind) => write!(f, "{{{kind}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::SubjectData;

    fn identity(kind: &str, value: &str) -> Identity {
        Identity {
            kind: IdentityType::new(kind).unwrap(),
            value: SubjectData::new(value),
        }
    }

    #[test]
    fn every_identifier_of_a_place_gives_a_text() {
        let template = Template::parse("u/{customer_id}/x").unwrap();
        let subject = [
            identity("customer_id", "1"),
            identity("email", "a@b"),
            identity("customer_id", "2"),
        ];
        let as_it_is = |value: &str| Some(value.to_owned());
        assert_eq!(template.fill(&subject, as_it_is), ["u/1/x", "u/2/x"]);
        assert_eq!(template.fill(&subject[1..2], as_it_is), [""; 0]);
        assert_eq!(template.to_string(), "u/{customer_id}/x");
    }

    #[test]
    fn what_names_nobody_or_has_loose_braces_is_refused() {
        assert_eq!(Template::parse("users/"), Err(BadTemplate::NoPlace));
        assert_eq!(Template::parse(""), Err(BadTemplate::NoPlace));
        assert_eq!(Template::parse("{customer_id"), Err(BadTemplate::Brace));
        assert_eq!(Template::parse("a}{b}"), Err(BadTemplate::Brace));
        assert_eq!(Template::parse("{Customer}"), Err(BadTemplate::Type));
    }
}
