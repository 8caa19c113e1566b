//! Panics are caught: what decides may fail at one request, and must not end the worker for that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::EngineError;

/// Runs something that decides. What it leaves behind when it panics must be thrown away.
pub(super) fn catch_panic<T>(decide: impl FnOnce() -> T) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(decide)).map_err(|_| EngineError::Panicked)
}
