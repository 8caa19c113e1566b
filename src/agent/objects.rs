//! Objects of a bucket or a folder: all that begins with a person's prefixes goes, every version of it, and what is locked stays until
//! its date. What has gone is looked for again before anything is said.

mod folder;
mod s3;
mod xml;

use std::{collections::BTreeMap, time::Duration};

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
/// A bucket that asks for patience is asked again so often, with growing pauses.
const TRIES: u32 = 6;
/// The first of these pauses.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Whoever asks for patience after that gets it: the rest is left to the next attempt.
const PATIENCE_SECONDS: u32 = 60;

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
    /// It could not be deleted now: the bucket asks for patience.
    Busy(String),
    /// It could not be deleted, for this reason.
    Refused(String),
}

/// Why objects cannot be listed or deleted: without a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ObjectError {
    /// It does not work.
    #[error("{0}")]
    Failed(String),
    /// The bucket asks for patience, and went on asking for it.
    #[error("{0}")]
    Busy(String),
    /// The agent stops.
    #[error("the agent stops; the rest follows with the next attempt")]
    Stopped,
}

impl ObjectError {
    fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }
}

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
        let reached = this
            .list("lacuna-agent-looks-whether-this-is-there/", &Turn::default())
            .await;
        reached.map_err(|error| PlaceError::Unreachable {
            what: "the bucket",
            why: error.to_string(),
        })?;
        Ok(this)
    }

    async fn list(&self, prefix: &str, turn: &Turn) -> Result<Vec<Version>, ObjectError> {
        match &self.store {
            Store::S3(bucket) => bucket.list(prefix, turn).await,
            Store::Folder(folder) => folder.list(prefix),
        }
    }

    async fn delete(&self, versions: &[Version], turn: &Turn) -> Result<Vec<(Version, Kept)>, ObjectError> {
        match &self.store {
            Store::S3(bucket) => bucket.delete(versions, turn).await,
            Store::Folder(folder) => Ok(folder.delete(versions)),
        }
    }

    async fn one(&self, task: &Task, turn: &Turn) -> Answer {
        if let Some(why) = task.unknown_method() {
            return Answer::unsupported(why);
        }
        if let Some(answer) = Answer::of_other_category(task, "objects", self.config.category.as_ref()) {
            return answer;
        }
        let prefixes: Vec<String> = self
            .config
            .prefixes
            .iter()
            .flat_map(|template| template.fill(&task.identities, encoded))
            .collect();
        if task.action == Action::Verify {
            return self.verify(&prefixes, turn).await;
        }
        let mut done = Done::default();
        for prefix in &prefixes {
            if let Err(error) = self.prefix(prefix, turn, &mut done).await {
                let mut answer = match &error {
                    ObjectError::Failed(_) => Answer::failed(error.to_string()),
                    ObjectError::Busy(_) | ObjectError::Stopped => Answer::partial(error.to_string()),
                };
                if matches!(error, ObjectError::Busy(_)) {
                    answer.retry_after_seconds = Some(PATIENCE_SECONDS);
                }
                return answer.with(evidence_of(self, done.gone));
            }
        }
        let evidence = evidence_of(self, done.gone);
        match done.locked {
            Some(until) => {
                let mut answer = Answer::new(Outcome::Retained).with(evidence);
                answer.retained = Some((self.config.basis.clone(), Some(until), Vec::new()));
                answer
            }
            None if done.gone > 0 => Answer::new(Outcome::Erased).with(evidence),
            None => Answer::new(Outcome::NotFound).with(evidence),
        }
    }

    async fn verify(&self, prefixes: &[String], turn: &Turn) -> Answer {
        for prefix in prefixes {
            match self.list(prefix, turn).await {
                Ok(found) if found.is_empty() => {}
                Ok(_) => return Answer::new(Outcome::Present),
                // A question has no half answer.
                Err(error) => return Answer::failed(error.to_string()),
            }
        }
        Answer::new(Outcome::Absent)
    }

    /// Deletes what begins with a prefix until nothing does, or nothing but what is locked.
    async fn prefix(&self, prefix: &str, turn: &Turn, done: &mut Done) -> Result<(), ObjectError> {
        let (mut looks, mut busy, mut pause) = (0, 0, FIRST_PAUSE);
        while looks < LOOKS {
            let found = self.list(prefix, turn).await?;
            if found.is_empty() {
                return Ok(());
            }
            if turn.ended().is_some() {
                return Err(ObjectError::Stopped);
            }
            let kept = self.delete(&found, turn).await?;
            done.gone += (found.len() - kept.len()) as u64;
            let mut until: Option<At> = None;
            let mut patience: Option<&str> = None;
            for (_, kept) in &kept {
                match kept {
                    Kept::Locked(locked) => until = until.max(Some(*locked)),
                    Kept::Busy(why) => patience = Some(why),
                    Kept::Refused(why) => {
                        return Err(ObjectError::Failed(format!("an object cannot be deleted: {why}")));
                    }
                }
            }
            if let Some(why) = patience {
                busy += 1;
                if busy >= TRIES {
                    return Err(ObjectError::Busy(format!(
                        "an object cannot be deleted now: {why}"
                    )));
                }
                turn.rest(pause).await;
                pause *= 2;
                continue;
            }
            if until.is_some() && self.list(prefix, turn).await?.len() == kept.len() {
                done.locked = done.locked.max(until);
                return Ok(());
            }
            looks += 1;
        }
        Err(ObjectError::failed(
            "objects come anew faster than they are deleted",
        ))
    }
}

/// What came of the prefixes of a task.
#[derive(Debug, Default)]
struct Done {
    /// How many versions were deleted.
    gone: u64,
    /// Until when others are locked.
    locked: Option<At>,
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
            answers.push(match turn.ended() {
                Some(ended) => Answer::partial(ended.says()),
                None => self.one(task, turn).await,
            });
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
