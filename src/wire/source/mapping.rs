//! An event's document becomes a command.
//!
//! What is missing is left out where a command may be without it. It is refused where the command would then be another one: a
//! tenant that is not there could be anybody's, and an erasure without its scope would be of everything.

use std::borrow::Cow;

use uuid::Uuid;

use super::{
    Event,
    datum::Datum,
    document::Document,
    naming, unmapped,
    written::{Identity, Scope, Subject, Written},
};
use crate::{
    domain::{
        identity::plausible,
        source::{Format, Mapping, Place, ScopeList, Source, Target},
        time::At,
        words::CommandKind,
    },
    wire::{
        Rejection,
        fields::{MAX_IDENTITIES, time, uuid},
    },
};

/// The command that an event becomes, as JSON.
pub(super) fn command(
    source: &Source,
    event: &Event<'_>,
    document: &Document<'_>,
) -> Result<Vec<u8>, Rejection> {
    if source.format == Format::Debezium && !document.is_change() {
        return Err(unmapped(
            "expected a change event of Debezium: there is nothing at /op (format = \"connect-json\" reads rows without one)"
                .to_owned(),
        ));
    }
    let reader = Reader {
        source,
        event,
        document,
    };
    let written = reader.command()?;
    serde_json::to_vec(&written).map_err(|_| unmapped("it could not be written".to_owned()))
}

struct Reader<'r> {
    source: &'r Source,
    event: &'r Event<'r>,
    document: &'r Document<'r>,
}

impl<'r> Reader<'r> {
    fn command(&self) -> Result<Written<'r>, Rejection> {
        let template = &self.source.template;
        let named = template.tenant.as_ref().map(|tenant| tenant.as_str());
        let names_subject = template.kind != CommandKind::Cancel;
        Ok(Written {
            command_id: self.command_id()?,
            kind: template.kind.as_str(),
            request_id: self.request_id()?,
            tenant: self.needed(&Target::Tenant, named)?,
            actor: format!("source:{}", self.source.name),
            subject: if names_subject {
                Some(self.subject()?)
            } else {
                None
            },
            regime: self.text(&Target::Regime, template.regime.as_ref().map(ToString::to_string))?,
            reason: self.text(
                &Target::Reason,
                template.reason.map(|reason| reason.as_str().to_owned()),
            )?,
            requested_at: self.time(&Target::RequestedAt)?,
            not_before: self.time(&Target::NotBefore)?,
            at: self.needed_time()?,
            region: self.text(&Target::Region, template.region.as_ref().map(ToString::to_string))?,
            scope: self.scope()?,
            anchors: self
                .of_kind(|target| match target {
                    Target::Anchor(name) => Some(name.as_str()),
                    _ => None,
                })
                .filter_map(|(name, mapping)| {
                    let time = self.time_at(mapping).transpose()?;
                    Some(time.map(|time| (name, time)))
                })
                .collect::<Result<_, _>>()?,
            identity_verified: template.identity_verified,
            metadata: self
                .of_kind(|target| match target {
                    Target::Metadata(name) => Some(name.as_str()),
                    _ => None,
                })
                .filter_map(|(name, mapping)| {
                    let text = self.scalar(mapping).transpose()?;
                    Some(text.map(|text| (name, text)))
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// The mappings of one kind of field, each with its name.
    fn of_kind<'n>(
        &self,
        name_of: impl Fn(&'r Target) -> Option<&'n str>,
    ) -> impl Iterator<Item = (&'n str, &'r Mapping)> {
        let map = &self.source.map;
        map.iter()
            .filter_map(move |mapping| Some((name_of(&mapping.target)?, mapping)))
    }

    fn mapping(&self, target: &Target) -> Option<&'r Mapping> {
        self.source.map.iter().find(|mapping| mapping.target == *target)
    }

    /// A single value; `None`: there is none, or it is empty.
    fn scalar(&self, mapping: &'r Mapping) -> Result<Option<Cow<'r, str>>, Rejection> {
        let found: Cow<'r, Datum<'r>> = match self.document.at(&mapping.place, self.event) {
            Some(found) => found,
            None => return Ok(None),
        };
        match found {
            Cow::Borrowed(datum) => self.text_of(mapping, datum).map(|text| text.map(Cow::Borrowed)),
            Cow::Owned(datum) => {
                let text = self.text_of(mapping, &datum)?;
                Ok(text.map(|text| Cow::Owned(text.to_owned())))
            }
        }
    }

    fn text_of<'d>(&self, mapping: &Mapping, datum: &'d Datum<'_>) -> Result<Option<&'d str>, Rejection> {
        match datum {
            Datum::Null => Ok(None),
            Datum::Text(text) if text.trim().is_empty() => Ok(None),
            datum => match datum.text() {
                Some(text) => Ok(Some(text)),
                None => Err(wrong(mapping, "text or a number", datum)),
            },
        }
    }

    /// A field that may be missing, with what it is then.
    fn text(&self, target: &Target, default: Option<String>) -> Result<Option<Cow<'r, str>>, Rejection> {
        let read = match self.mapping(target) {
            Some(mapping) => self.scalar(mapping)?,
            None => None,
        };
        Ok(read.or(default.map(Cow::Owned)))
    }

    /// A field without which the command would be another one.
    fn needed(&self, target: &Target, default: Option<&'r str>) -> Result<Option<Cow<'r, str>>, Rejection> {
        let Some(mapping) = self.mapping(target) else {
            return Ok(default.map(Cow::Borrowed));
        };
        match self.scalar(mapping)?.or(default.map(Cow::Borrowed)) {
            Some(text) => Ok(Some(text)),
            None => Err(nothing_at(mapping)),
        }
    }

    /// The event's own name where it has one, else that of its place.
    fn command_id(&self) -> Result<Uuid, Rejection> {
        let Some(mapping) = self.mapping(&Target::CommandId) else {
            return Ok(naming::unnamed(self.source, self.event, self.document));
        };
        let text = self.scalar(mapping)?.ok_or_else(|| nothing_at(mapping))?;
        // What is no UUID is a name all the same: the same event has the same one.
        Ok(uuid(&text).unwrap_or_else(|| naming::named(self.source, &text)))
    }

    fn request_id(&self) -> Result<Option<Uuid>, Rejection> {
        let Some(mapping) = self.mapping(&Target::RequestId) else {
            return Ok(None);
        };
        match self.scalar(mapping)? {
            None if self.source.template.kind == CommandKind::Cancel => Err(nothing_at(mapping)),
            None => Ok(None),
            Some(text) => match uuid(&text) {
                Some(id) => Ok(Some(id)),
                None => Err(expected(mapping, "a UUID")),
            },
        }
    }

    fn subject(&self) -> Result<Subject<'r>, Rejection> {
        let mut identities = Vec::new();
        for mapping in &self.source.map {
            let Target::Identity(kind) = &mapping.target else {
                continue;
            };
            for value in self.values(mapping)? {
                plausible::check(kind, &value)
                    .map_err(|fault| unmapped(format!("{} at {}: {fault}", mapping.target, mapping.place)))?;
                identities.push(Identity { kind, value });
            }
        }
        if identities.is_empty() {
            let places: Vec<String> = self.identity_places().map(ToString::to_string).collect();
            return Err(unmapped(format!(
                "no identity of the subject: there is nothing at {}",
                places.join(", ")
            )));
        }
        if identities.len() > MAX_IDENTITIES {
            return Err(unmapped(format!("expected at most {MAX_IDENTITIES} identities")));
        }
        Ok(Subject { identities })
    }

    fn identity_places(&self) -> impl Iterator<Item = &'r Place> {
        let map = self.source.map.iter();
        map.filter(|mapping| matches!(mapping.target, Target::Identity(_)))
            .map(|mapping| &mapping.place)
    }

    /// A single value, or each of a list.
    fn values(&self, mapping: &'r Mapping) -> Result<Vec<Cow<'r, str>>, Rejection> {
        let found = self.document.at(&mapping.place, self.event);
        if let Some(Cow::Borrowed(Datum::List(items))) = found {
            let texts = items
                .iter()
                .filter_map(|item| self.text_of(mapping, item).transpose());
            return texts.map(|text| text.map(Cow::Borrowed)).collect();
        }
        Ok(self.scalar(mapping)?.into_iter().collect())
    }

    fn scope(&self) -> Result<Scope<'r>, Rejection> {
        let fixed = &self.source.template.scope;
        let texts = |list: &'r [crate::domain::ids::Label]| -> Vec<Cow<'r, str>> {
            list.iter().map(|label| Cow::Borrowed(label.as_str())).collect()
        };
        let processors = fixed
            .processors
            .iter()
            .map(|processor| Cow::Borrowed(processor.as_str()));
        Ok(Scope {
            purposes: self.scope_list(ScopeList::Purposes, texts(&fixed.purposes))?,
            categories: self.scope_list(ScopeList::Categories, texts(&fixed.categories))?,
            processors: self.scope_list(ScopeList::Processors, processors.collect())?,
        })
    }

    fn scope_list(
        &self,
        list: ScopeList,
        default: Vec<Cow<'r, str>>,
    ) -> Result<Vec<Cow<'r, str>>, Rejection> {
        let Some(mapping) = self.mapping(&Target::Scope(list)) else {
            return Ok(default);
        };
        let read = self.values(mapping)?;
        match (read.is_empty(), default.is_empty()) {
            (false, _) => Ok(read),
            (true, false) => Ok(default),
            (true, true) => Err(unmapped(format!(
                "{}: there is nothing at {}, and an erasure without it would be of everything",
                mapping.target, mapping.place
            ))),
        }
    }

    fn time(&self, target: &Target) -> Result<Option<Cow<'r, str>>, Rejection> {
        match self.mapping(target) {
            Some(mapping) => self.time_at(mapping),
            None => Ok(None),
        }
    }

    fn needed_time(&self) -> Result<Option<Cow<'r, str>>, Rejection> {
        let read = self.time(&Target::At)?;
        match self.mapping(&Target::At) {
            Some(mapping) if read.is_none() => Err(nothing_at(mapping)),
            _ => Ok(read),
        }
    }

    fn time_at(&self, mapping: &'r Mapping) -> Result<Option<Cow<'r, str>>, Rejection> {
        let Some(text) = self.scalar(mapping)? else {
            return Ok(None);
        };
        if time(&text).is_some() {
            return Ok(Some(text));
        }
        match since_epoch(&text) {
            Some(at) => Ok(Some(Cow::Owned(at.to_string()))),
            None => Err(expected(
                mapping,
                "a time of RFC 3339 with its offset, such as 2026-11-21T10:00:00Z, or one in seconds, milliseconds, \
                 microseconds or nanoseconds since 1970",
            )),
        }
    }
}

/// Reads a time since 1970. Its unit shows in its size: seconds have ten digits for as long as anybody lives. What is smaller
/// may be a number of days, and taken for seconds it would lie in 1970, where every retention is over.
fn since_epoch(text: &str) -> Option<At> {
    let number: u64 = text.parse().ok()?;
    let millis = match number {
        1_000_000_000..100_000_000_000 => number * 1_000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1_000,
        100_000_000_000_000_000.. => number / 1_000_000,
        _ => return None,
    };
    i64::try_from(millis).ok().map(At::from_millis)
}

fn nothing_at(mapping: &Mapping) -> Rejection {
    unmapped(format!(
        "{}: there is nothing at {}",
        mapping.target, mapping.place
    ))
}

fn expected(mapping: &Mapping, what: &str) -> Rejection {
    unmapped(format!(
        "{} at {}: expected {what}",
        mapping.target, mapping.place
    ))
}

fn wrong(mapping: &Mapping, what: &str, found: &Datum<'_>) -> Rejection {
    unmapped(format!(
        "{} at {}: expected {what}, found {}",
        mapping.target,
        mapping.place,
        found.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_of_a_time_since_1970_shows_in_its_size() {
        let cases = [
            ("1796119200", Some("2026-12-01T10:00:00Z")),
            ("1796119200000", Some("2026-12-01T10:00:00Z")),
            ("1796119200000000", Some("2026-12-01T10:00:00Z")),
            ("1796119200000000000", Some("2026-12-01T10:00:00Z")),
            ("20788", None),
            ("0", None),
            ("-1796119200", None),
            ("1796119200.5", None),
        ];
        for (text, expected) in cases {
            let read = since_epoch(text).map(|at| at.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
