//! The contracts as machines read them: validated by others' programs, and held against the real binary.

mod asyncapi;
mod openapi;
