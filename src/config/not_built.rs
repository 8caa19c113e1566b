//! What the grammar has and this version does not carry out: it is refused, so that nobody relies on it.
//!
//! The grammar of these keys is read and checked all the same. To lift a refusal, delete its line, in the change that
//! carries the thing out: what is read must reach the domain first, or it would be dropped without a word.

use super::reader::Entry;

/// Each refused thing, and what happens instead.
const REFUSED: &[(&str, &str)] = &[(
    "transport.vendor",
    "kafka, webhook, opendsr, manual and agent are",
)];

/// Reports that this is not built yet, if it is not.
pub(super) fn refuse(entry: &Entry<'_>, thing: &str) {
    if let Some((_, instead)) = REFUSED.iter().find(|(name, _)| *name == thing) {
        entry.problem(&format!("not built yet in this version: {instead}"));
    }
}
