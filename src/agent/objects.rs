//! Objects of a bucket or a folder: all that begins with a person's prefixes goes, every version of it, and what is locked stays until
//! its date. What has gone is looked for again before anything is said.

mod folder;
mod s3;
mod xml;

use std::collections::BTreeMap;

use async_trait::async_trait;

use self::{folder::Folder, s3::Bucket};
use super::{
    answer::{Answer, Evidence},
    place::{Place, PlaceError},
    task::Task,
    turn::Turn,
};
use crate::{
    clock::Clock,
    config::{Objects as Config, ObjectsAt},
    domain::{
        time::At,
        words::{Action, Outcome},
    },
};

/// Objects of a person are looked for so often until there are none.
const LOOKS: usize = 4;

/// A bucket or a folder.
#[derive(Debug)]
pub struct Objects {
    config: Config,
    store: Store,
}

#[derive(Debug)]
enum Store {
    S3(Box<Bucket>),
    Folder(Folder),
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    /// The key. It may hold an identifier, so it is in no message.
    pub(super) key: String,
    pub(super) version: Option<String>,
}

/// A version that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is locked until then.
    Locked(At),
    /// It could not be deleted, for this reason.
    Refused(String),
}

/// Why objects cannot be listed or deleted: without a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ObjectError(pub(super) String);

impl Objects {
    /// Looks whether the bucket or the folder is there.
    pub async fn open(config: &Config, clock: &Clock) -> Result<Self, PlaceError> {
        let store = match &config.at {
            ObjectsAt::S3(bucket) => Store::S3(Box::new(Bucket::open(bucket, clock)?)),
            ObjectsAt::Folder(path) => Store::Folder(Folder::open(path)?),
        };
        let this = Self {
            config: config.clone(),
            store,
        };
        // Nobody's objects: whether there is a bucket, and whether it lets us in.
        let reached = this.list("lacuna-agent-looks-whether-this-is-there/").await;
        reached.map_err(|ObjectError(why)| PlaceError::Unreachable {
            what: "the bucket",
            why,
        })?;
        Ok(this)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Version>, ObjectError> {
        match &self.store {
            Store::S3(bucket) => bucket.list(prefix).await,
            Store::Folder(folder) => folder.list(prefix),
        }
    }

    async fn delete(&self, versions: &[Version]) -> Result<Vec<(Version, Kept)>, ObjectError> {
        match &self.store {
            Store::S3(bucket) => bucket.delete(versions).await,
            Store::Folder(folder) => Ok(folder.delete(versions)),
        }
    }

    async fn one(&self, task: &Task, turn: &Turn) -> Result<Answer, ObjectError> {
        let prefixes: Vec<String> = self
            .config
            .prefixes
            .iter()
            .flat_map(|template| template.fill(&task.identities, encoded))
            .collect();
        if task.action == Action::Verify {
            for prefix in &prefixes {
                if !self.list(prefix).await?.is_empty() {
                    return Ok(Answer::new(Outcome::Present));
                }
            }
            return Ok(Answer::new(Outcome::Absent));
        }
        let mut deleted = 0_u64;
        let mut until: Option<At> = None;
        for prefix in &prefixes {
            let (gone, locked) = match self.prefix(prefix, turn).await? {
                Done::Gone(gone) => (gone, None),
                Done::Locked(gone, locked) => (gone, Some(locked)),
                Done::Ended(why) => return Ok(Answer::partial(why).with(evidence_of(self, deleted))),
            };
            deleted += gone;
            until = until.max(locked);
        }
        let evidence = evidence_of(self, deleted);
        Ok(match until {
            Some(until) => {
                let mut answer = Answer::new(Outcome::Retained).with(evidence);
                answer.retained = Some((self.config.basis.clone(), Some(until), Vec::new()));
                answer
            }
            None if deleted > 0 => Answer::new(Outcome::Erased).with(evidence),
            None => Answer::new(Outcome::NotFound).with(evidence),
        })
    }

    /// Deletes what begins with a prefix until nothing does, or nothing but what is locked.
    async fn prefix(&self, prefix: &str, turn: &Turn) -> Result<Done, ObjectError> {
        let mut gone = 0;
        for _ in 0..LOOKS {
            let found = self.list(prefix).await?;
            if found.is_empty() {
                return Ok(Done::Gone(gone));
            }
            if let Some(ended) = turn.ended() {
                return Ok(Done::Ended(ended.says()));
            }
            let kept = self.delete(&found).await?;
            gone += (found.len() - kept.len()) as u64;
            if kept.is_empty() {
                continue;
            }
            let mut until: Option<At> = None;
            for (_, kept) in &kept {
                match kept {
                    Kept::Locked(locked) => until = until.max(Some(*locked)),
                    Kept::Refused(why) => {
                        return Err(ObjectError(format!("an object cannot be deleted: {why}")));
                    }
                }
            }
            if let (Some(until), true) = (until, self.list(prefix).await?.len() == kept.len()) {
                return Ok(Done::Locked(gone, until));
            }
        }
        Err(ObjectError(
            "objects come anew faster than they are deleted".to_owned(),
        ))
    }
}

enum Done {
    Gone(u64),
    Locked(u64, At),
    Ended(&'static str),
}

fn evidence_of(objects: &Objects, deleted: u64) -> Evidence {
    let place = match &objects.config.at {
        ObjectsAt::S3(bucket) => format!("s3://{}", bucket.name),
        ObjectsAt::Folder(_) => "folder".to_owned(),
    };
    let by_table = if deleted > 0 {
        BTreeMap::from([(place, deleted)])
    } else {
        BTreeMap::new()
    };
    Evidence {
        method: Some("delete".to_owned()),
        records: deleted,
        by_table,
        ..Evidence::default()
    }
}

/// An identifier as a part of a key: what has a meaning in a path is percent-encoded, so that no identifier leads elsewhere. An empty one
/// gives none.
fn encoded(value: &str) -> Option<String> {
    let is_dots = matches!(value, "." | "..");
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        let is_plain = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_' | b'@' | b'+' | b':' | b'=' | b',' | b'!' | b'(' | b')'
            )
            || (byte == b'.' && !is_dots);
        if is_plain {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    (!text.is_empty()).then_some(text)
}

#[async_trait]
impl Place for Objects {
    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            let answer = match turn.ended() {
                Some(ended) => Ok(Answer::partial(ended.says())),
                None => self.one(task, turn).await,
            };
            answers.push(answer.unwrap_or_else(|ObjectError(why)| Answer::failed(why)));
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_lead_nowhere_else() {
        for (value, expected) in [
            ("42", Some("42")),
            ("a.b@example.org", Some("a.b@example.org")),
            ("..", Some("%2E%2E")),
            (".", Some("%2E")),
            ("a/../b", Some("a%2F..%2Fb")),
            ("ä%", Some("%C3%A4%25")),
            ("a\0\n", Some("a%00%0A")),
            ("", None),
        ] {
            assert_eq!(encoded(value).as_deref(), expected, "{value:?}");
        }
    }
}
