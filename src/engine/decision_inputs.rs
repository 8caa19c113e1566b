//! What a transaction decides by: the time, the facts and the registry, as of the moment at which it passed the gate.
//!
//! Facts and registry are kept in memory and brought up to date under the gate lock, so a fact holds from the moment that it
//! is committed, in every worker, and nothing is read where nothing is new. Both are known by number and by a hash chained
//! over all before: where the store's history is not the one that was learned, everything is read again before anything is
//! decided.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use jiff::tz::TimeZone;

use super::{
    Engine, EngineError,
    active_registry::{ActiveRegistry, read},
    schedule,
};
use crate::{
    domain::{
        fact::{FactVersion, Facts},
        ids::{ProcessorId, Tenant},
        request::{Claims, Context, Shut, Withheld, gates::Rulebook, refusal::ComplaintBodies},
        time::At,
    },
    store::{Chain, Gate, Head, StoredFact, Transaction},
};

/// What a transaction decides by.
#[derive(Debug, Clone)]
pub(super) struct DecisionInputs {
    /// The time.
    pub(super) now: At,
    pub(super) facts: Arc<Facts>,
    pub(super) active: Arc<ActiveRegistry>,
    /// The processors that have enough to do with what is being replayed into them.
    pub(super) full: Arc<BTreeSet<ProcessorId>>,
    /// Which topics do not take what is meant for them.
    pub(super) shut: Arc<Shut>,
    /// What this transaction claims of the queues of lanes.
    pub(super) claims: Arc<Claims>,
}

/// The facts that this worker has heard of, and which history they are of.
#[derive(Debug, Clone, Default)]
pub(super) struct Learned {
    facts: Arc<Facts>,
    head: Head,
}

/// What becomes of what is known when facts are read after it.
enum Read {
    /// The same history, and what followed.
    Extended(Learned),
    /// Nobody can tell: the fact that was learned last is compacted, and so is the one after it.
    Compacted,
    /// Facts of another history.
    Other,
}

impl Learned {
    /// After which version to read: the last fact that is known comes first, and shows whether it is the one that was learned.
    const fn anchor(&self) -> FactVersion {
        self.head.number.saturating_sub(1)
    }

    /// Takes over what follows. Where the last fact that is known is compacted, the one after it remembers its chain.
    fn read(&self, rows: &[StoredFact]) -> Read {
        let known = self.head.number;
        let news = match rows.split_first() {
            _ if known == 0 => rows,
            Some((last, news)) if last.version == known && last.chain == Some(self.head.chain) => news,
            Some((next, _)) if next.version == known + 1 && next.chain_before == Some(self.head.chain) => {
                rows
            }
            Some((next, _)) if next.version > known + 1 => return Read::Compacted,
            _ => return Read::Other,
        };
        let Some(last) = news.last() else {
            return Read::Extended(self.clone());
        };
        Read::Extended(Self {
            head: Head {
                number: last.version,
                // Without one it is read again next time.
                chain: last.chain.unwrap_or_default(),
            },
            facts: Arc::new(learn((*self.facts).clone(), news)),
        })
    }

    /// Everything from the beginning.
    fn anew(rows: &[StoredFact]) -> Self {
        match Self::default().read(rows) {
            Read::Extended(learned) => learned,
            Read::Compacted | Read::Other => Self::default(),
        }
    }
}

impl Engine {
    /// Passes the gate, and learns what has become known since.
    pub(super) async fn pass_gate(
        &self,
        tx: &mut dyn Transaction,
        mode: Gate,
    ) -> Result<DecisionInputs, EngineError> {
        let passed = tx.gate(mode).await?;
        let now = self.clock_guard.time(&self.clock, passed.now)?;
        let facts = self.learn_facts(tx, passed.facts).await?;
        self.learn_registry(tx, passed.registry).await?;
        Ok(DecisionInputs {
            now,
            facts,
            active: self.active()?,
            full: self.full(),
            shut: self.shut(),
            claims: Arc::default(),
        })
    }

    /// These facts and no others are decided by: somebody else may remember less in the meantime.
    async fn learn_facts(&self, tx: &mut dyn Transaction, head: Head) -> Result<Arc<Facts>, EngineError> {
        let learned = self.learned();
        if learned.head == head {
            return Ok(learned.facts);
        }
        let read = if learned.head.number < head.number {
            learned.read(&tx.facts_since(learned.anchor()).await?)
        } else {
            Read::Other
        };
        let news = match read {
            Read::Extended(extended) => extended,
            read => {
                let facts = Arc::new(learn(Facts::default(), &tx.facts_since(0).await?));
                self.tell_read_again(&read, learned.head, head);
                Learned { facts, head }
            }
        };
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = news.clone();
        Ok(news.facts)
    }

    async fn learn_registry(&self, tx: &mut dyn Transaction, head: Head) -> Result<(), EngineError> {
        let known = self.active().ok().map(|active| active.head());
        if known == Some(head) || (known.is_none() && head.number == 0) {
            return Ok(());
        }
        if let Some(known) = known
            && known.number >= head.number
        {
            self.tell_other_history("registry", known, head);
        }
        match tx.registry().await? {
            Some(stored) => self.activate(head, read(&stored.text)?),
            // It was lost: what nobody can look up any more must not be decided by.
            None => *self.active.write().unwrap_or_else(PoisonError::into_inner) = None,
        }
        Ok(())
    }

    fn tell_read_again(&self, why: &Read, learned: Head, found: Head) {
        match why {
            Read::Extended(_) => {}
            Read::Compacted => tracing::warn!(
                learned = learned.number,
                found = found.number,
                "this worker has not looked for so long that the fact it learned last is compacted: everything is read again"
            ),
            Read::Other => self.tell_other_history("facts", learned, found),
        }
    }

    /// A failover or a backup has lost what this worker knew. That is somebody's to look into, so it is loud.
    pub(super) fn tell_other_history(&self, of: &'static str, learned: Head, found: Head) {
        // What was read before anybody had chained it, after an upgrade, is of the same history for all that is known.
        let is_unchained = |head: Head| head.number > 0 && head.chain == Chain::default();
        if is_unchained(learned) || is_unchained(found) {
            return;
        }
        self.metrics.other_history(of);
        tracing::error!(
            of,
            learned = learned.number,
            found = found.number,
            "the store's history is not the one that this worker knows: a failover or a backup that was put back has lost \
             commits; everything is read again, and what was lost has to be told again by whoever told it"
        );
    }

    /// Brings what is known up to date outside of a transaction, for what only shows it.
    pub async fn refresh_facts(&self) -> Result<Arc<Facts>, EngineError> {
        let known = self.learned();
        let rows = self.store.facts_since(known.anchor()).await?;
        let learned = match known.read(&rows) {
            Read::Extended(learned) => learned,
            read => {
                let learned = Learned::anew(&self.store.facts_since(0).await?);
                self.tell_read_again(&read, known.head, learned.head);
                learned
            }
        };
        let mut latest = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        // A transaction may have learned more by now.
        if latest.head == known.head {
            *latest = learned.clone();
        }
        Ok(learned.facts)
    }

    fn learned(&self) -> Learned {
        self.learned
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The facts, as this worker last heard of them.
    pub fn facts(&self) -> Arc<Facts> {
        self.learned().facts
    }

    /// Where the policy's days begin.
    pub fn zone(&self) -> &TimeZone {
        &self.policy().rules.calendar.zone
    }

    /// The rules that people's decisions about a tenant's requests are taken under.
    pub fn rulebook(&self, tenant: &Tenant) -> Rulebook<'_> {
        self.rules_of(tenant).rulebook()
    }

    /// Whom a person can complain to about a refusal.
    pub fn complaint_bodies(&self) -> &ComplaintBodies {
        &self.policy().complaint_bodies
    }

    /// What the domain decides by.
    pub(super) fn context<'a>(&'a self, inputs: &'a DecisionInputs) -> Context<'a> {
        Context {
            now: inputs.now,
            registry: &inputs.active.registry,
            facts: &inputs.facts,
            zones: self.zones(),
            clock_skew: self.clock_skew,
            delay: &schedule::delay,
            keep_after_completion: self.keep_after_completion,
            withheld: Withheld::Lanes {
                replays: &inputs.full,
                shut: &inputs.shut,
                claims: &inputs.claims,
            },
            lease: self.lease,
        }
    }

    /// What people are shown, by what this worker knows now. Nothing is decided by it, so any clock will do.
    pub fn with_context<T>(&self, show: impl FnOnce(&Context<'_>) -> T) -> Result<T, EngineError> {
        let inputs = DecisionInputs {
            now: self.clock.now(),
            facts: self.facts(),
            active: self.active()?,
            full: self.full(),
            shut: self.shut(),
            claims: Arc::default(),
        };
        Ok(show(&self.context(&inputs)))
    }
}

impl DecisionInputs {
    /// For what tries a lane that is shut.
    pub(super) fn let_probe(&mut self, processor: &ProcessorId) {
        Arc::make_mut(&mut self.shut).lanes.remove(processor);
    }
}

fn learn(mut facts: Facts, news: &[StoredFact]) -> Facts {
    for stored in news {
        facts.learn(stored.version, stored.at, &stored.fact);
    }
    facts
}
