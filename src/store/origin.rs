//! Where messages came from.

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The cluster.
    pub cluster: std::sync::Arc<str>,
    /// The topic.
    pub topic: std::sync::Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Which log of this name: the same offset of another one is another message.
    pub incarnation: u32,
}
