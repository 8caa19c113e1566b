//! What lies sealed beside a ledger leaf: the proofs that answers brought, and what people gave as reasons.
//!
//! The leaf has a salted commitment to each proof and nothing else of it. A side row is a version byte and then one note
//! after the other in postcard, which needs no brackets: so a note is appended without knowing what stands before it.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{
    ack::{Ack, Evidence},
    time::At,
    words::Outcome,
};

const VERSION: u8 = 1;

/// One note.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// An answer brought proof.
    Proof(Proof),
    /// Somebody acted, and this was said about it.
    Said(String),
}

/// A proof, and what it takes to check the leaf's commitment to it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Which attempt of which task brought it.
    pub brought_by: BroughtBy,
    /// The salt of the commitment.
    pub salt: [u8; 16],
    /// What the commitment is to.
    pub statement: Statement,
}

/// Which attempt of which task brought a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroughtBy {
    /// The task's place in the plan.
    pub ordinal: u16,
    /// Its generation.
    pub generation: u32,
    /// The attempt.
    pub attempt: u32,
}

/// What an ack brings, as it is written down.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What it answers.
    pub outcome: Outcome,
    /// The processor's own time.
    pub at: Option<At>,
    /// Its free text.
    pub message: Option<String>,
    /// What it brings as proof.
    pub evidence: Option<Evidence>,
}

/// Without the free text, which may hold anything.
impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement")
            .field("outcome", &self.outcome)
            .field("at", &self.at)
            .field("evidence", &self.evidence)
            .finish_non_exhaustive()
    }
}

/// A side row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// It was written by a later version.
    #[error("notes of version {0}, which this version cannot read")]
    Version(u8),
    /// Its bytes are broken.
    #[error("broken notes")]
    Broken(#[from] postcard::Error),
}

/// The same as [`Statement`], before it is written: nothing is copied.
#[derive(Serialize)]
struct Stated<'a> {
    outcome: Outcome,
    at: Option<At>,
    message: Option<&'a str>,
    evidence: Option<&'a Evidence>,
}

/// The bytes of what an ack brings, to which a commitment is made; `None`: it brings no more than its outcome.
pub fn statement_of(ack: &Ack) -> Option<Vec<u8>> {
    if ack.evidence.is_none() && ack.message.is_none() && ack.at.is_none() {
        return None;
    }
    let stated = Stated {
        outcome: ack.answer.outcome(),
        at: ack.at,
        message: ack.message.as_deref(),
        evidence: ack.evidence.as_ref(),
    };
    Some(append(Vec::with_capacity(64), &stated))
}

/// The notes of one side row, in the making.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Notes(Vec<u8>);

/// Without what they say.
impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Notes").field(&self.0.len()).finish()
    }
}

impl Notes {
    /// Adds a proof. `statement`: the bytes that [`statement_of`] gave.
    pub fn add_proof(&mut self, brought_by: BroughtBy, salt: &[u8; 16], statement: &[u8]) {
        /// The place of `Note::Proof`.
        const PROOF: u32 = 0;
        self.append(&(PROOF, brought_by, salt));
        self.0.extend_from_slice(statement);
    }

    /// Adds what was said about what somebody did.
    pub fn add_said(&mut self, said: &str) {
        /// The place of `Note::Said`.
        const SAID: u32 = 1;
        self.append(&(SAID, said));
    }

    /// The bytes of the side row; none: there is nothing to be noted.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn append(&mut self, part: &impl Serialize) {
        let mut bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            bytes.reserve(256);
            bytes.push(VERSION);
        }
        self.0 = append(bytes, part);
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn append(bytes: Vec<u8>, part: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(part, bytes).expect("memory takes every text, number and time")
}

/// Reads the notes of a side row.
pub fn read_notes(bytes: &[u8]) -> Result<Vec<Note>, NoteError> {
    let mut rest = match bytes.split_first() {
        Some((&VERSION, rest)) => rest,
        Some((version, _)) => return Err(NoteError::Version(*version)),
        None => return Ok(Vec::new()),
    };
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let (note, left) = postcard::take_from_bytes(rest)?;
        notes.push(note);
        rest = left;
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{
        ack::Answer,
        ids::{Label, ProcessorId, RequestId, TaskId},
    };

    fn ack(evidence: Option<Evidence>, message: Option<&str>) -> Ack {
        Ack {
            request_id: RequestId(uuid::Uuid::nil()),
            task_id: TaskId(uuid::Uuid::nil()),
            generation: 2,
            attempt: 3,
            processor: ProcessorId::new("crm").unwrap(),
            token: "secret".to_owned(),
            answer: Answer::Erased,
            evidence,
            identities: Vec::new(),
            at: Some(At::from_millis(1_795_000_000_000)),
            message: message.map(str::to_owned),
        }
    }

    fn evidence(digest: &str) -> Evidence {
        Evidence {
            method: Some("delete".to_owned()),
            records: Some(12),
            reference: Some("job-77".to_owned()),
            digest: Some(digest.to_owned()),
            by_category: BTreeMap::from([(Label::new("messages").unwrap(), 12)]),
            by_table: BTreeMap::new(),
        }
    }

    fn with_tables(digest: Option<String>) -> Evidence {
        Evidence {
            digest,
            by_table: BTreeMap::from([("shop.orders".to_owned(), 3)]),
            ..Evidence::default()
        }
    }

    /// What stood in rows before evidence had tables.
    #[test]
    fn evidence_without_tables_is_written_as_it_was() {
        let sha = format!("sha256:{}", "0a".repeat(32));
        let bytes = postcard::to_stdvec(&evidence(&sha)).unwrap();
        let mut before = vec![1, 6];
        before.extend_from_slice(b"delete");
        before.extend_from_slice(&[1, 12, 1, 6]);
        before.extend_from_slice(b"job-77");
        before.extend_from_slice(&[1, 0]);
        before.extend_from_slice(&[10; 32]);
        before.extend_from_slice(&[1, 8]);
        before.extend_from_slice(b"messages");
        before.push(12);
        assert_eq!(bytes, before);
    }

    const BROUGHT_BY: BroughtBy = BroughtBy {
        ordinal: 4,
        generation: 2,
        attempt: 3,
    };

    #[test]
    fn what_is_appended_piece_by_piece_is_read_as_notes() {
        let sha = format!("sha256:{}", "0a".repeat(32));
        let acks = [
            ack(Some(evidence(&sha)), None),
            ack(Some(evidence("SHA256:of my own making")), Some("done")),
            ack(None, None),
            ack(Some(with_tables(Some(sha.clone()))), None),
            ack(Some(with_tables(None)), None),
        ];
        let mut notes = Notes::default();
        notes.add_said(r#"{"by":"Ana"}"#);
        let mut expected = vec![Note::Said(r#"{"by":"Ana"}"#.to_owned())];
        for ack in acks {
            let statement = statement_of(&ack).unwrap();
            notes.add_proof(BROUGHT_BY, &[7; 16], &statement);
            let read: Statement = postcard::from_bytes(&statement).unwrap();
            assert_eq!(
                read,
                Statement {
                    outcome: Outcome::Erased,
                    at: ack.at,
                    message: ack.message,
                    evidence: ack.evidence,
                }
            );
            expected.push(Note::Proof(Proof {
                brought_by: BROUGHT_BY,
                salt: [7; 16],
                statement: read,
            }));
        }
        assert_eq!(read_notes(notes.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_brings_nothing_leaves_no_note() {
        let bare = Ack {
            at: None,
            ..ack(None, None)
        };
        assert!(statement_of(&bare).is_none());
        assert_eq!(read_notes(Notes::default().as_bytes()).unwrap(), Vec::new());
    }

    #[test]
    fn a_proof_takes_little_room() {
        let sha = format!("sha256:{}", "0a".repeat(32));
        let statement = statement_of(&ack(Some(evidence(&sha)), None)).unwrap();
        // The digest is 32 of them.
        assert!(statement.len() < 80, "{}", statement.len());
    }

    #[test]
    fn what_another_version_wrote_or_somebody_cut_is_an_error() {
        assert!(matches!(read_notes(&[9, 1]), Err(NoteError::Version(9))));
        let mut notes = Notes::default();
        notes.add_said("{}");
        let bytes = notes.as_bytes();
        assert!(read_notes(&bytes[..bytes.len() - 1]).is_err());
    }
}
