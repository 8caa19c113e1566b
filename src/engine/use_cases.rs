//! The use cases, by who asks for them. Each is a view of what they share, so it is made where it is needed and costs nothing.

use super::Engine;

macro_rules! use_cases {
    ($($(#[$doc:meta])* $name:ident, $accessor:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name<'e> {
                pub(super) shared: &'e Engine,
            }
        )*

        impl Engine {
            $(
                $(#[$doc])*
                pub const fn $accessor(&self) -> $name<'_> {
                    $name { shared: self }
                }
            )*
        }
    };
}

use_cases! {
    /// Commands become requests.
    Intake, intake;
    /// Acks move tasks.
    Settlement, settlement;
    /// What backup systems tell becomes facts.
    BackupEvents, backup_events;
    /// What is due wakes.
    Agenda, agenda;
    /// Tasks are claimed of the queues of their lanes.
    Queues, queues;
    /// Requests look at what has become known.
    Sweeps, fact_sweeps;
    /// What was kept for long enough goes.
    Retention, retention;
    /// People decide about requests and tasks.
    Operations, operations;
    /// People change many requests at once.
    Bulk, bulk;
    /// People do tasks.
    Manual, manual;
    /// Prometheus reads gauges.
    Gauges, gauges;
}
