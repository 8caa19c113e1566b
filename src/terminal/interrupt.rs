//! Ctrl-C and SIGTERM as a flag, for commands that clean up after themselves.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody has asked the command to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts listening.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        tokio::spawn(async move {
            let term = async {
                match signal(SignalKind::terminate()) {
                    Ok(mut term) => drop(term.recv().await),
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                // An error means that there is no such signal here: then only the other one ends it.
                _ = tokio::signal::ctrl_c() => {}
                () = term => {}
            }
            flag.store(true, Ordering::Relaxed);
        });
        interrupt
    }

    /// Whether somebody has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
