//! Where messages are written as JSON before the client takes its copy of them: one after the other into the same memory.
//!
//! A batch has thousands of messages, written on one thread. Memory of its own for each of them is what the allocator does
//! worst. They hold identifiers, so nothing is left of them when the buffer goes.

use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

/// Larger than nearly every message: a buffer that grows leaves a copy of what it held behind.
const CAPACITY: usize = 16 * 1024;

/// Writes messages.
#[derive(Debug)]
pub(super) struct JsonBuffer(Zeroizing<Vec<u8>>);

impl Default for JsonBuffer {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(CAPACITY)))
    }
}

impl JsonBuffer {
    /// Writes a message. The one before it is gone.
    pub(super) fn write(&mut self, message: &impl Serialize) -> Result<&[u8], serde_json::Error> {
        self.0.clear();
        if let Err(error) = serde_json::to_writer(&mut *self.0, message) {
            self.0.zeroize();
            return Err(error);
        }
        Ok(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_length_come_out_as_they_went_in() {
        let mut buffer = JsonBuffer::default();
        for length in [0, 700, CAPACITY / 2, CAPACITY, 3 * CAPACITY, 5] {
            let text = "x".repeat(length);
            let written = buffer.write(&text).unwrap();
            assert_eq!(serde_json::from_slice::<String>(written).unwrap(), text);
        }
    }
}
