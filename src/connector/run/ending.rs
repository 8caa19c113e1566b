//! What all answers of a run come to.

use super::{Ask, Run};
use crate::connector::{language::Connector, tally::Settled};

impl Run {
    /// What all answers come to.
    pub(super) fn settled(&self, connector: &Connector) -> Settled {
        let known_before = self.kept.erased;
        let mut tally = self.tally.clone();
        // An earlier attempt has erased what this one does not find.
        if tally.erased == 0 && tally.not_found > 0 {
            tally.erased = known_before;
        } else {
            tally.erased += known_before.min(tally.not_found);
        }
        match tally.settled(connector.can_poll()) {
            Some(Settled::Absent) => self.absent(connector),
            Some(Settled::Erased { .. } | Settled::NotFound) if self.kept.retained.is_some() => {
                let basis = self.kept.retained.clone().unwrap_or_default();
                Settled::Retained { basis }
            }
            Some(settled) => settled,
            None if self.lookups > 0 && self.lookups == self.unknown => match self.ask {
                Ask::Probe => self.absent(connector),
                _ if known_before > 0 => Settled::Erased {
                    records: known_before,
                },
                _ => Settled::NotFound,
            },
            None => Settled::Failed(
                "none of the person's identifiers led to a call that could settle it".to_owned(),
            ),
        }
    }

    /// Nobody is found: a proof only where every identifier was asked about by which somebody would have been erased.
    fn absent(&self, connector: &Connector) -> Settled {
        let mut kinds = self.person.kinds();
        match kinds.find(|kind| connector.is_left_out_by_probes(kind)) {
            None => Settled::Absent,
            Some(kind) => Settled::Failed(format!(
                "no probe asks by {}, so that nothing proves that the person is gone",
                kind.as_str()
            )),
        }
    }
}
