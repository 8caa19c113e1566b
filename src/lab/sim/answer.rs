//! Reads tasks and writes acks, as a processor that was built from the contract would.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::character::Says;
use crate::domain::time::At;

/// What a processor needs of a task.
#[derive(Debug, Deserialize)]
pub(super) struct Task<'a> {
    #[serde(borrow)]
    pub(super) request_id: Cow<'a, str>,
    #[serde(borrow)]
    task_id: Cow<'a, str>,
    #[serde(borrow)]
    processor: Cow<'a, str>,
    generation: u32,
    pub(super) attempt: u32,
    #[serde(borrow)]
    pub(super) ack: AckTo<'a>,
}

/// Where and with what it is answered.
#[derive(Debug, Deserialize)]
pub(super) struct AckTo<'a> {
    #[serde(borrow)]
    pub(super) topic: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Ack<'a> {
    request_id: &'a str,
    task_id: &'a str,
    generation: u32,
    attempt: u32,
    processor: &'a str,
    token: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_by: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Evidence {
    method: &'static str,
    records: u64,
    reference: Job,
}

/// The processor's own number of a job.
#[derive(Debug)]
struct Job(u64);

impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("job-{:08x}", self.0 & 0xffff_ffff))
    }
}

/// A minute is ample for whatever a simulation promises.
const PROMISE: std::time::Duration = std::time::Duration::from_secs(60);

/// Writes an ack. `at`: when the processor says that it happened.
pub(super) fn write(
    into: &mut Vec<u8>,
    task: &Task<'_>,
    says: Says,
    chance: u64,
    at: At,
) -> Result<(), serde_json::Error> {
    let evidence = Evidence {
        method: "delete",
        records: chance % 40 + 1,
        reference: Job(chance),
    };
    let ack = Ack {
        request_id: &task.request_id,
        task_id: &task.task_id,
        generation: task.generation,
        attempt: task.attempt,
        processor: &task.processor,
        token: &task.ack.token,
        outcome: says.outcome(),
        evidence: (says == Says::Erased).then_some(evidence),
        at,
        expected_by: (says == Says::Accepted).then(|| at.plus(PROMISE)),
        message: (says == Says::Failed).then_some("the back end is busy"),
    };
    serde_json::to_writer(into, &ack)
}

/// Answers the message of a task: what a processor sends back that works it off at once.
pub fn reply(task: &[u8], says: Says, chance: u64, at: At) -> Result<Vec<u8>, serde_json::Error> {
    let mut ack = Vec::with_capacity(512);
    write(&mut ack, &serde_json::from_slice(task)?, says, chance, at)?;
    Ok(ack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::Tenant,
        wire::{Envelope, parse_ack},
    };

    #[test]
    fn what_it_says_is_what_the_contract_reads() {
        let example = include_bytes!("../../../schemas/examples/task.erase.json");
        let task: Task<'_> = serde_json::from_slice(example).unwrap();
        let tenant = Tenant::new("acme").unwrap();
        for says in [Says::Accepted, Says::Erased, Says::NotFound, Says::Failed] {
            let mut bytes = Vec::new();
            write(&mut bytes, &task, says, 7, At::from_millis(0)).unwrap();
            let ack = parse_ack(&bytes, &Envelope::bare(&tenant)).unwrap();
            assert_eq!(ack.answer.outcome().as_str(), says.outcome());
            assert_eq!(ack.token, task.ack.token);
        }
    }
}
