//! What every command needs of the terminal: exit codes, failures, results on stdout, tables, progress bars, files read by
//! line, interruptions, temporary folders.
//!
//! Architecture invariant: it uses nothing of `cli` or `lab`, which both use it.

pub mod bar;
pub mod failure;
pub mod folder;
pub mod interrupt;
pub mod lines;
pub mod output;
pub mod table;

use std::process::ExitCode;

pub use failure::Failure;

/// How a command ended: the exit codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0
    Ok,
    /// 1: the thing asked about is not so.
    NotSo,
    /// 2: usage or configuration.
    Usage,
    /// 3: a dependency is unreachable.
    Unreachable,
}

impl Exit {
    /// The code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NotSo => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
