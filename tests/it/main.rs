//! Everything that goes through the real binary.

mod demo;
