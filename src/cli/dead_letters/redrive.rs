//! `lacuna dead-letters redrive`: publishes original bytes to the topic that they came from.
//!
//! A letter is marked only after the broker has confirmed it. A crash in between leaves it open, and a second redrive
//! of the same command changes nothing.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{every, not_open, sealed, unknown};
use crate::{
    cli::{
        Exit, Failure,
        output::Out,
        session::{self, block_on},
    },
    config::Config,
    domain::words::DeadLetterReason,
    kafka::publish::{Outgoing, Publisher},
    store::{DeadLetter, DeadLetterState, Store},
    vault::Vault,
    wire::KeptHeaders,
};

/// Runs it.
pub(super) fn run(
    config: &Config,
    ids: &[Uuid],
    reason: Option<DeadLetterReason>,
    actor: &str,
) -> Result<Exit, Failure> {
    let cluster = session::cluster(config)?;
    let vault = session::vault(config)?;
    let mut out = Out::stdout();
    let failures = block_on(async {
        let store = session::open_store(config).await?;
        let (letters, mut failures) = wanted(store.as_ref(), ids, reason).await?;
        if letters.is_empty() {
            return Ok(failures);
        }
        let topics: BTreeSet<String> = letters
            .iter()
            .map(|letter| letter.origin.topic.to_string())
            .collect();
        let publisher = Publisher::connect(&cluster, topics).await?;
        for letter in &letters {
            match redrive(store.as_ref(), &vault, &publisher, letter, actor).await {
                Ok(place) => out.line(format_args!("redriven {} {place}", letter.id))?,
                Err(failure) => failures.push(failure),
            }
        }
        Ok(failures)
    })?;
    out.end()?;
    if failures.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::Several(failures))
    }
}

/// The open letters that were asked for, and what is wrong with the others.
async fn wanted(
    store: &dyn Store,
    ids: &[Uuid],
    reason: Option<DeadLetterReason>,
) -> Result<(Vec<DeadLetter>, Vec<Failure>), Failure> {
    let ids = match reason {
        Some(reason) => {
            let open = every(store, true).await?;
            open.into_iter()
                .filter(|letter| letter.reason == reason)
                .map(|letter| letter.id)
                .collect()
        }
        None => ids.to_vec(),
    };
    let (mut letters, mut failures) = (Vec::new(), Vec::new());
    for id in ids {
        match store.dead_letter(id).await? {
            None => failures.push(unknown(id)),
            Some(letter) if letter.state != DeadLetterState::Open => failures.push(not_open(&letter)),
            Some(letter) => letters.push(letter),
        }
    }
    Ok((letters, failures))
}

async fn redrive(
    store: &dyn Store,
    vault: &Vault,
    publisher: &Publisher,
    letter: &DeadLetter,
    actor: &str,
) -> Result<String, Failure> {
    let plain = vault.open_dead_letter(sealed(letter)?)?;
    let headers = headers_of(vault, letter)?;
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let message = Outgoing {
        topic: &letter.origin.topic,
        key: None,
        headers: pairs.collect(),
        payload: &plain,
    };
    let place = publisher.send(&message).await?.confirmed().await?;
    let at = format!("{}/{}/{}", letter.origin.topic, place.partition, place.offset);
    let note = format!("{actor}: redriven to {at}");
    // The store's own time: this machine's may be wrong.
    if !store
        .close_dead_letter(letter.id, DeadLetterState::Redriven, &note, store.now().await?)
        .await?
    {
        return Err(Failure::NotSo(format!(
            "dead letter {} was published again to {at}, but was no longer {} by then: somebody else decided about it",
            letter.id,
            DeadLetterState::Open.as_str()
        )));
    }
    Ok(at)
}

/// The headers that say what it is: a command may have its id there.
fn headers_of(vault: &Vault, letter: &DeadLetter) -> Result<Vec<(String, String)>, Failure> {
    let Some(sealed) = &letter.headers else {
        return Ok(Vec::new());
    };
    KeptHeaders::read(&vault.open_dead_letter(sealed)?).map_err(|_| {
        Failure::NotSo(format!(
            "the headers that are kept with dead letter {} cannot be read: nothing was published",
            letter.id
        ))
    })
}
