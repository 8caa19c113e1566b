//! Facts: what many decisions read and nobody's request owns. A fact holds from the moment that it is committed;
//! a sweep only makes sure that every request it concerns has been looked at since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    backup::{BackupChange, BackupEvent, Copies, Week},
    hold::{Hold, Holds},
    ids::{HoldId, ProcessorId, Tenant},
    registry::RegistryRevision,
    stops::{Stop, Stopped, Stops},
    time::At,
};

pub use super::ids::FactVersion;

/// Something that decisions read and that concerns many requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A legal hold was placed.
    Hold(Hold),
    /// It was released.
    Release {
        /// The tenant.
        tenant: Tenant,
        /// The hold.
        hold_id: HoldId,
        /// Who released it.
        actor: String,
    },
    /// Something happened to a backup.
    Backup(BackupEvent),
    /// Another revision of the registry is active.
    Registry {
        /// The revision.
        revision: RegistryRevision,
        /// The processors whose rules of retention or backup are others now.
        changed: Vec<ProcessorId>,
        /// Whether every open request is concerned: a processor has left, or the term that one has published is another.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        open: bool,
    },
    /// The key of a week's capsules was destroyed.
    Forgotten(CapsuleEpoch),
    /// Somebody paused the lane of a processor: nothing new is sent to it.
    Paused {
        /// The processor.
        processor: ProcessorId,
        /// Who, and what was out by then.
        stop: Stop,
    },
    /// Somebody had it go on.
    Resumed {
        /// The processor.
        processor: ProcessorId,
        /// The pause that is over.
        stop: Uuid,
        /// Who.
        actor: String,
    },
    /// Somebody put the brake on: nothing new is sent to anybody.
    Braked {
        /// Who, and what was out by then.
        stop: Stop,
    },
    /// Somebody took it off.
    Unbraked {
        /// The brake that is over.
        stop: Uuid,
        /// Who.
        actor: String,
    },
}

/// Capsules that are forgotten together: of one week, and of requests that the same sets cover.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CapsuleEpoch {
    /// The week of the last confirmation.
    pub week: Week,
    /// The backup processors that cover it, in order.
    pub sets: Vec<ProcessorId>,
}

impl Fact {
    /// The word that lists and metrics show.
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Hold(_) => FactKind::Hold,
            Self::Release { .. } => FactKind::Release,
            Self::Backup(BackupEvent {
                change: BackupChange::Taken { .. },
                ..
            }) => FactKind::BackupTaken,
            Self::Backup(BackupEvent {
                change: BackupChange::Rotated { .. },
                ..
            }) => FactKind::BackupRotated,
            Self::Backup(BackupEvent {
                change: BackupChange::Restored { .. },
                ..
            }) => FactKind::BackupRestored,
            Self::Registry { .. } => FactKind::Registry,
            Self::Forgotten(_) => FactKind::Forgotten,
            Self::Paused { .. } => FactKind::Paused,
            Self::Resumed { .. } => FactKind::Resumed,
            Self::Braked { .. } => FactKind::Braked,
            Self::Unbraked { .. } => FactKind::Unbraked,
        }
    }

    /// What makes it the same fact as another one.
    pub fn key(&self) -> String {
        match self {
            Self::Hold(hold) => Self::key_of_hold(&hold.tenant, hold.hold_id),
            Self::Release { tenant, hold_id, .. } => format!("release/{tenant}/{hold_id}"),
            Self::Backup(event) => Self::key_of_backup(event),
            Self::Registry { revision, .. } => format!("registry/{revision}"),
            Self::Forgotten(epoch) => format!("forgotten/{}/{}", epoch.week, epoch.name()),
            Self::Paused { stop, .. } | Self::Braked { stop } => Self::key_of_stop(stop.id),
            Self::Resumed { stop, .. } | Self::Unbraked { stop, .. } => Self::key_of_end(*stop),
        }
    }

    /// The key of the fact that a backup event tells.
    pub fn key_of_backup(event: &BackupEvent) -> String {
        format!("backup/{}", event.event_id)
    }

    /// The key of the fact that a lane, or all of them, was stopped.
    pub fn key_of_stop(id: Uuid) -> String {
        format!("stop/{id}")
    }

    /// The key of the fact that a stop is over: it ends once.
    pub fn key_of_end(id: Uuid) -> String {
        format!("end/{id}")
    }

    /// The key of the fact that a hold was placed.
    pub fn key_of_hold(tenant: &Tenant, hold_id: HoldId) -> String {
        format!("hold/{tenant}/{hold_id}")
    }
}

impl CapsuleEpoch {
    /// The sets in one text.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.sets.iter().map(ProcessorId::as_str).collect();
        names.join(" ")
    }
}

words! {
    /// What kind of fact it is.
    FactKind {
        Hold = 1 "hold", Release = 2 "release", BackupTaken = 3 "backup_taken", BackupRotated = 4 "backup_rotated",
        BackupRestored = 5 "backup_restored", Registry = 6 "registry", Forgotten = 7 "forgotten",
        Paused = 8 "paused", Resumed = 9 "resumed", Braked = 10 "braked", Unbraked = 11 "unbraked",
    }
}

/// A restore that requests have to be looked at for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// The fact.
    pub version: FactVersion,
    /// When the backup had been taken.
    pub taken_at: At,
    /// Into which processors it was put back.
    pub into: Vec<ProcessorId>,
}

/// Everything that is known, as decisions read it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    version: FactVersion,
    holds: Holds,
    copies: BTreeMap<ProcessorId, Copies>,
    restores: Vec<Restore>,
    registry: RegistryRevision,
    forgotten: BTreeSet<CapsuleEpoch>,
    stops: Stops,
}

impl Facts {
    /// Takes the next fact in.
    pub fn learn(&mut self, version: FactVersion, told_at: At, fact: &Fact) {
        self.version = self.version.max(version);
        match fact {
            Fact::Hold(hold) => self.holds.place(hold),
            Fact::Release { tenant, hold_id, .. } => self.holds.release(tenant, *hold_id),
            Fact::Backup(event) => self.learn_backup(version, told_at, event),
            Fact::Registry { revision, .. } => self.registry = self.registry.max(*revision),
            Fact::Forgotten(epoch) => drop(self.forgotten.insert(epoch.clone())),
            Fact::Paused { processor, stop } => {
                let stopped = Stopped {
                    version,
                    since: told_at,
                    stop: stop.clone(),
                };
                self.stops.pause_lane(processor, stopped);
            }
            Fact::Resumed { processor, stop, .. } => self.stops.resume_lane(processor, *stop),
            Fact::Braked { stop } => self.stops.put_on(Stopped {
                version,
                since: told_at,
                stop: stop.clone(),
            }),
            Fact::Unbraked { stop, .. } => self.stops.take_off(*stop),
        }
    }

    fn learn_backup(&mut self, version: FactVersion, told_at: At, event: &BackupEvent) {
        let copies = self.copies.entry(event.processor.clone()).or_default();
        copies.learn(&event.change, told_at);
        if let BackupChange::Restored {
            taken_at,
            restored_into,
        } = &event.change
        {
            self.restores.push(Restore {
                version,
                taken_at: *taken_at,
                into: restored_into.clone(),
            });
        }
    }

    /// How many facts there are.
    pub const fn version(&self) -> FactVersion {
        self.version
    }

    /// What people have stopped.
    pub const fn stops(&self) -> &Stops {
        &self.stops
    }

    /// The active holds.
    pub const fn holds(&self) -> &Holds {
        &self.holds
    }

    /// What is known about the copies of a set.
    pub fn copies(&self, processor: &ProcessorId) -> Option<&Copies> {
        self.copies.get(processor)
    }

    /// Every set that something is known of.
    pub fn sets(&self) -> impl Iterator<Item = (&ProcessorId, &Copies)> {
        self.copies.iter()
    }

    /// The restore that this version was.
    pub fn restore(&self, version: FactVersion) -> Option<&Restore> {
        self.restores.iter().find(|restore| restore.version == version)
    }

    /// The restores since this version.
    pub fn restores_since(&self, version: FactVersion) -> impl Iterator<Item = &Restore> {
        self.restores
            .iter()
            .filter(move |restore| restore.version > version)
    }

    /// The revision of the registry that is active; 0: none.
    pub const fn registry(&self) -> RegistryRevision {
        self.registry
    }

    /// Whether the capsules of this epoch can no longer be opened.
    pub fn is_forgotten(&self, epoch: &CapsuleEpoch) -> bool {
        self.forgotten.contains(epoch)
    }
}
