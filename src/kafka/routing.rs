//! Which topic an effect goes to.
//!
//! A processor's transport is live: what was planned under an earlier registry goes where the active one says.

use std::sync::{Arc, PoisonError, RwLock};

use foldhash::HashMap;

use crate::{
    domain::ids::ProcessorId,
    engine::{ActiveRegistry, effects::Effect},
    store::CompactedKey,
};

/// The topics that are written, and where processors are told to answer.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Where processors answer.
    pub acks: Arc<str>,
    /// Where they answer over HTTP.
    pub ack_url: Option<String>,
    /// Where statuses go.
    pub status: Arc<str>,
    /// Where dead letters go.
    pub dead_letters: Arc<str>,
    /// Where it is said who is suppressed; `None`: nowhere.
    pub suppression: Option<Arc<str>>,
    /// What a processor's topic starts with.
    pub tasks_prefix: String,
}

/// Gives the registry that is active; `None`: there is none yet.
type Source = Box<dyn Fn() -> Option<Arc<ActiveRegistry>> + Send + Sync>;

/// Knows the topics.
pub struct Routing {
    topics: Arc<Topics>,
    registry: Source,
    routes: RwLock<Arc<Routes>>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routing")
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// The topics under one registry.
#[derive(Debug)]
pub struct Routes {
    /// The topics that do not depend on it.
    pub topics: Arc<Topics>,
    registry: Option<Arc<ActiveRegistry>>,
    tasks: HashMap<ProcessorId, Arc<str>>,
}

impl Routing {
    /// `registry`: the one that is active when it is asked.
    pub fn new(
        topics: Topics,
        registry: impl Fn() -> Option<Arc<ActiveRegistry>> + Send + Sync + 'static,
    ) -> Self {
        let topics = Arc::new(topics);
        let registry: Source = Box::new(registry);
        let routes = Routes::of(Arc::clone(&topics), registry());
        Self {
            topics,
            registry,
            routes: RwLock::new(Arc::new(routes)),
        }
    }

    /// The topics as of now.
    pub fn routes(&self) -> Arc<Routes> {
        let registry = (self.registry)();
        let known = Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner));
        if known.is_of(registry.as_ref()) {
            return known;
        }
        let new = Arc::new(Routes::of(Arc::clone(&self.topics), registry));
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        new
    }
}

impl Routes {
    fn of(topics: Arc<Topics>, registry: Option<Arc<ActiveRegistry>>) -> Self {
        let processors = registry.iter().flat_map(|active| &active.registry.processors);
        let tasks = processors
            .filter_map(|processor| {
                let topic = processor.task_topic(&topics.tasks_prefix)?;
                Some((processor.id.clone(), Arc::from(topic)))
            })
            .collect();
        Self {
            topics,
            registry,
            tasks,
        }
    }

    fn is_of(&self, registry: Option<&Arc<ActiveRegistry>>) -> bool {
        match (&self.registry, registry) {
            (Some(known), Some(active)) => Arc::ptr_eq(known, active),
            (None, None) => true,
            _ => false,
        }
    }

    /// The topic of an effect; `None`: it is told nobody.
    pub(super) fn topic_of(&self, effect: &Effect) -> Option<Arc<str>> {
        match effect {
            Effect::Task(task) => Some(self.task_topic(&task.processor)),
            Effect::Status(_) | Effect::Tombstone(CompactedKey::Status(_)) => {
                Some(Arc::clone(&self.topics.status))
            }
            Effect::Suppression(_) | Effect::Tombstone(CompactedKey::Suppression(_)) => {
                self.topics.suppression.clone()
            }
            Effect::DeadLetter(_) => Some(Arc::clone(&self.topics.dead_letters)),
        }
    }

    /// The topic of a processor's tasks. One that is no longer registered has the topic that it would have by its id.
    pub fn task_topic(&self, processor: &ProcessorId) -> Arc<str> {
        self.tasks
            .get(processor)
            .cloned()
            .unwrap_or_else(|| Arc::from(format!("{}{processor}", self.topics.tasks_prefix)))
    }
}
