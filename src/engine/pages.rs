//! Where the messages of a batch are written: one after the other onto pages, each of which goes with its last message.
//!
//! A batch has thousands of messages, written on one thread and gone a few milliseconds later. Memory of its own for each of
//! them is what the allocator does worst.

use bytes::{Bytes, BytesMut};

/// A page has some forty messages, and is small enough to be kept at hand by the allocator.
const PAGE: usize = 32 * 1024;

/// Writes messages.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// The message that is being written: its length shows at its end.
    draft: Vec<u8>,
    page: BytesMut,
}

impl Pages {
    /// Writes a message as JSON.
    pub(super) fn write(&mut self, message: &impl serde::Serialize) -> Result<Bytes, serde_json::Error> {
        self.draft.clear();
        serde_json::to_writer(&mut self.draft, message)?;
        if self.page.capacity() < self.draft.len() {
            self.page = BytesMut::with_capacity(PAGE.max(self.draft.len()));
        }
        self.page.extend_from_slice(&self.draft);
        Ok(self.page.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_length_come_out_as_they_went_in() {
        let mut pages = Pages::default();
        let texts: Vec<String> = [0, 700, PAGE / 2, PAGE, 3 * PAGE, 5]
            .into_iter()
            .cycle()
            .take(60)
            .map(|length| "x".repeat(length))
            .collect();
        let written: Vec<Bytes> = texts.iter().map(|text| pages.write(text).unwrap()).collect();
        for (text, bytes) in texts.iter().zip(&written) {
            assert_eq!(serde_json::from_slice::<String>(bytes).unwrap(), *text);
        }
    }
}
