//! How large a message and a batch the topics take, as far as this worker has found out.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{KafkaError, admin::Admin, client::Cluster};

/// What is known of the topics' limits.
pub(super) struct Sizes {
    /// The topics that take small batches only, so that each message for them goes in a batch of its own.
    small: RwLock<HashSet<Arc<str>>>,
    /// Whether there is any: nobody asks for the list before.
    has_small: AtomicBool,
    cluster: Cluster,
    admin: Mutex<Option<Arc<Admin>>>,
}

impl Sizes {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            small: RwLock::default(),
            has_small: AtomicBool::new(false),
            cluster,
            admin: Mutex::new(None),
        }
    }

    /// From now on each message for this topic goes in a batch of its own.
    pub(super) fn takes_small_batches(&self, topic: &Arc<str>) {
        let mut small = self.small.write().unwrap_or_else(PoisonError::into_inner);
        if small.insert(Arc::clone(topic)) {
            tracing::warn!(
                %topic,
                "this topic does not take a batch of messages that it takes one by one (max.message.bytes): they go one by one"
            );
        }
        self.has_small.store(true, Ordering::Release);
    }

    /// Whether each message for this topic goes in a batch of its own.
    pub(super) fn is_small(&self, topic: &Arc<str>) -> bool {
        self.has_small.load(Ordering::Acquire)
            && self
                .small
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(topic)
    }

    /// How many bytes a message of this topic may have; `None`: the broker does not say.
    pub(super) async fn limit_of(&self, topic: &str) -> Option<u32> {
        let asked = match self.admin() {
            Ok(admin) => admin.max_message_bytes(topic).await,
            Err(error) => Err(error),
        };
        asked
            .inspect_err(|error| tracing::debug!(%error, topic, "a topic's limit cannot be asked"))
            .ok()
            .flatten()
    }

    fn admin(&self) -> Result<Arc<Admin>, KafkaError> {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admin) = &*admin {
            return Ok(Arc::clone(admin));
        }
        let made = Arc::new(Admin::new(&self.cluster)?);
        *admin = Some(Arc::clone(&made));
        Ok(made)
    }
}
