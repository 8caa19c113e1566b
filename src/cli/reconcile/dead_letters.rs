//! Dead letters by the ids that are inside them. They are opened in this process, and only ids come out.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use super::super::Failure;
use crate::{
    domain::{
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    store::{DeadLetter, DeadLetterFilter, Store},
    vault::Vault,
    wire::salvage::salvage,
};

/// How many are read at once. Each may be a mebibyte.
const PAGE: u32 = 32;

/// A dead letter, as far as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Letter {
    pub(super) id: Uuid,
    pub(super) reason: DeadLetterReason,
    #[serde(rename = "type")]
    pub(super) kind: Option<CommandKind>,
    pub(super) state: &'static str,
    pub(super) at: At,
    pub(super) age_seconds: u64,
}

/// What a walk through the dead letters has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The latest letter of each id.
    pub(super) by_id: HashMap<Uuid, Letter>,
    /// How many open ones do not show what they were.
    pub(super) nameless: u64,
}

/// Walks through all of them, for those that have one of these ids.
pub(super) async fn find(
    store: &dyn Store,
    vault: &Vault,
    wanted: &HashSet<Uuid>,
    now: At,
) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut filter = DeadLetterFilter {
        with_payload: true,
        limit: PAGE,
        ..DeadLetterFilter::default()
    };
    loop {
        let page = store.dead_letters(filter.clone()).await?;
        filter.after = page.last().map(|letter| letter.id);
        let is_last = page.len() < PAGE as usize;
        for letter in page {
            let ids = ids_in(vault, &letter);
            let is_open = letter.state == crate::store::DeadLetterState::Open;
            found.nameless += u64::from(ids.is_empty() && is_open);
            for id in ids.into_iter().filter(|id| wanted.contains(id)) {
                found.by_id.insert(id, Letter::of(&letter, now));
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// The ids that lead to a letter; none where it cannot be opened any more, or cannot be read so far.
fn ids_in(vault: &Vault, letter: &DeadLetter) -> Vec<Uuid> {
    if !letter.ids.is_empty() {
        return letter.ids.clone();
    }
    // Written by an earlier version, or nothing in it looks like an id.
    let Some(plain) = letter
        .sealed
        .as_deref()
        .and_then(|sealed| vault.open_dead_letter(sealed).ok())
    else {
        return Vec::new();
    };
    let seen = salvage(&plain);
    // A request is named by what is about it, too: only what may have opened it stands for it.
    let opens = seen.kind.is_none_or(CommandKind::opens);
    let request_id = seen.request_id.filter(|_| opens);
    seen.command_id.into_iter().chain(request_id).collect()
}

impl Letter {
    fn of(letter: &DeadLetter, now: At) -> Self {
        Self {
            id: letter.id,
            reason: letter.reason,
            kind: letter.kind,
            state: letter.state.as_str(),
            at: letter.at,
            age_seconds: now.since(letter.at).as_secs(),
        }
    }
}
