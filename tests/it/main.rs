//! One binary for everything that needs the real parts.

mod end_to_end;
mod packaging;
mod support;
