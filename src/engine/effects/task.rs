//! A task on its way to a processor: what its message says, owned once for all tasks of a request.

use std::{borrow::Cow, sync::Arc};

use crate::{
    domain::{
        body::Body,
        calendar::Regime,
        identity::{Identity, SubjectData},
        ids::{IdentityType, Label, ProcessorId, RequestId, TaskId, Tenant},
        registry::Processor,
        request::{Request, answer::CRYPTO_ERASE},
        task::{Purpose, Share, Task},
        time::At,
        words::{Action, Reason},
    },
    vault::Token,
    wire::task::{AckAddress, TaskMessage, TaskScope},
};

/// A task that is dispatched: one attempt of a processor's share of a request.
#[derive(Debug, Clone)]
pub struct TaskDispatch {
    /// What all tasks of the request say.
    of: Arc<Asked>,
    /// The processor.
    pub processor: ProcessorId,
    /// The task.
    pub id: TaskId,
    /// Its generation.
    pub generation: u32,
    /// The attempt.
    pub attempt: u32,
    action: Action,
    /// Whether a backup system is asked to destroy the subject's key.
    by_key: bool,
    /// The categories of the share; none: those that the command names.
    categories: Vec<Label>,
    named: Named,
    respond_by: At,
    token: Token,
    /// The `traceparent` of what led to it, where that is traced.
    pub trace: Option<Arc<str>>,
}

/// What the tasks of one request have in common, so that it is there once.
#[derive(Debug)]
pub(in crate::engine) struct Asked {
    request: RequestId,
    tenant: Tenant,
    regime: Regime,
    reason: Reason,
    data_before: At,
    deadline: At,
    purposes: Vec<Label>,
    categories: Vec<Label>,
    identities: Vec<Identity>,
}

/// Which of the request's identifiers a processor is sent: those that it declared, and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    All,
    /// These, by their places.
    Some(Box<[u16]>),
}

impl Asked {
    pub(in crate::engine) fn new(request: &Request, body: &Body, identities: &[Identity]) -> Self {
        Self {
            request: request.id,
            tenant: request.head.tenant.clone(),
            regime: request.head.regime.clone(),
            reason: request.head.reason,
            data_before: request.head.requested_at,
            deadline: request.life.clock.due,
            purposes: body.scope.purposes().to_vec(),
            categories: body.scope.categories().to_vec(),
            identities: identities.to_vec(),
        }
    }

    /// `None`: it has none of them.
    fn named(&self, wanted: &[IdentityType]) -> Option<Named> {
        let is_wanted = |identity: &Identity| wanted.contains(&identity.kind);
        if self.identities.iter().all(is_wanted) {
            return (!self.identities.is_empty()).then_some(Named::All);
        }
        let places = self.identities.iter().zip(0_u16..);
        let wanted: Box<[u16]> = places
            .filter(|(identity, _)| is_wanted(identity))
            .map(|(_, place)| place)
            .collect();
        (!wanted.is_empty()).then_some(Named::Some(wanted))
    }
}

impl TaskDispatch {
    /// The dispatch of a task with its token; `None`: it names nobody.
    pub(in crate::engine) fn new(
        of: &Arc<Asked>,
        (id, task): (TaskId, &Task),
        (wanted, respond_by): (&[IdentityType], At),
        token: Token,
    ) -> Option<Self> {
        Some(Self {
            named: of.named(wanted)?,
            of: Arc::clone(of),
            processor: task.processor.clone(),
            id,
            generation: task.generation,
            attempt: task.attempt,
            action: task.asks(),
            by_key: asks_for_key(task),
            categories: task.categories.clone(),
            respond_by,
            token,
            trace: None,
        })
    }

    /// A task that is nobody's, to try a processor with: it asks whether data of a made-up subject is still there, and its
    /// token is believed nowhere.
    pub fn of_nobody(processor: &Processor, tenant: &Tenant, regime: &Regime, now: At) -> Self {
        let made_up = || uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let identity = |kind: &IdentityType| Identity {
            kind: kind.clone(),
            value: SubjectData::new(match kind.as_str() {
                // A domain that can never be anybody's (RFC 2606).
                "email" => "lacuna-test-nobody@example.invalid",
                // No country has this code.
                "phone" => "+999000000000",
                _ => "lacuna-test-nobody",
            }),
        };
        let respond_by = now.plus(processor.ack_timeout);
        Self {
            of: Arc::new(Asked {
                request: RequestId(made_up()),
                tenant: tenant.clone(),
                regime: regime.clone(),
                reason: Reason::SubjectRequest,
                data_before: now,
                deadline: respond_by,
                purposes: Vec::new(),
                categories: Vec::new(),
                identities: processor.identities.iter().map(identity).collect(),
            }),
            processor: processor.id.clone(),
            id: TaskId(made_up()),
            generation: 1,
            attempt: 1,
            action: Action::Verify,
            by_key: false,
            categories: Vec::new(),
            named: Named::All,
            respond_by,
            token: Token::nobodys(),
            trace: None,
        }
    }

    /// The request.
    pub fn request(&self) -> RequestId {
        self.of.request
    }

    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.of.tenant
    }

    /// The regime of the request's clock.
    pub fn regime(&self) -> &Regime {
        &self.of.regime
    }

    /// The token that its answer brings.
    pub fn token(&self) -> &str {
        self.token.as_str()
    }

    /// What it asks.
    pub const fn action(&self) -> Action {
        self.action
    }

    /// Which attempt of which task it is.
    pub fn sent(&self) -> SentTask {
        SentTask {
            request: self.of.request,
            task: self.id,
            generation: self.generation,
            attempt: self.attempt,
        }
    }

    /// What the processor is sent. Where it answers is for whoever sends it to say.
    pub fn message<'a>(&'a self, ack_topic: &'a str, ack_url: Option<&'a str>) -> TaskMessage<'a> {
        let of = &*self.of;
        let identities = match &self.named {
            Named::All => Cow::Borrowed(of.identities.as_slice()),
            Named::Some(places) => {
                let named = places
                    .iter()
                    .filter_map(|place| of.identities.get(usize::from(*place)));
                Cow::Owned(named.cloned().collect())
            }
        };
        let categories = if self.categories.is_empty() {
            &of.categories
        } else {
            &self.categories
        };
        TaskMessage {
            task_id: self.id,
            request_id: of.request,
            processor: Cow::Borrowed(&self.processor),
            generation: self.generation,
            attempt: self.attempt,
            action: self.action,
            method: self.by_key.then_some(Cow::Borrowed(CRYPTO_ERASE)),
            tenant: Cow::Borrowed(&of.tenant),
            identities,
            scope: TaskScope {
                purposes: Cow::Borrowed(&of.purposes),
                categories: Cow::Borrowed(categories),
            },
            reason: of.reason,
            data_before: of.data_before,
            respond_by: self.respond_by,
            deadline: of.deadline,
            ack: AckAddress {
                topic: Cow::Borrowed(ack_topic),
                url: ack_url.map(Cow::Borrowed),
                token: Cow::Borrowed(self.token.as_str()),
            },
        }
    }
}

#[cfg(test)]
impl TaskDispatch {
    /// The same, with one more identifier.
    pub(crate) fn naming(mut self, kind: &str, value: &str) -> Self {
        let of = Arc::get_mut(&mut self.of).expect("nobody else has it");
        of.identities.push(Identity {
            kind: IdentityType::new(kind).expect("a type"),
            value: SubjectData::new(value),
        });
        self
    }

    /// The same, of one category alone.
    pub(crate) fn limited_to(mut self, category: &str) -> Self {
        self.categories = vec![Label::new(category).expect("a label")];
        self
    }

    /// One that names nobody.
    pub(crate) fn for_tests(processor: &str) -> Self {
        let id = uuid::Uuid::nil();
        Self {
            of: Arc::new(Asked {
                request: RequestId(id),
                tenant: Tenant::new("acme").unwrap(),
                regime: Regime::parse("gdpr").unwrap(),
                reason: Reason::AccountClosed,
                data_before: At::default(),
                deadline: At::default(),
                purposes: Vec::new(),
                categories: Vec::new(),
                identities: Vec::new(),
            }),
            processor: ProcessorId::new(processor).unwrap(),
            id: TaskId(id),
            generation: 1,
            attempt: 1,
            action: Action::Erase,
            by_key: false,
            categories: Vec::new(),
            named: Named::All,
            respond_by: At::default(),
            token: Token::for_tests(),
            trace: None,
        }
    }
}

/// An attempt of a task, as its message names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SentTask {
    /// The request.
    pub request: RequestId,
    /// The task.
    pub task: TaskId,
    /// The generation.
    pub generation: u32,
    /// The attempt.
    pub attempt: u32,
}

/// Whether a task asks a backup system to destroy the subject's key.
const fn asks_for_key(task: &Task) -> bool {
    matches!(task.share, Share::Wave { key: true, .. }) && matches!(task.purpose, Purpose::Asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> IdentityType {
        IdentityType::new(name).unwrap()
    }

    fn dispatch(kinds: &[&str]) -> TaskDispatch {
        let identity = |name: &&str| Identity {
            kind: kind(name),
            value: SubjectData::new(format!("canary of {name}")),
        };
        let identities = kinds.iter().map(identity).collect();
        let mut task = TaskDispatch::for_tests("crm");
        if let Some(of) = Arc::get_mut(&mut task.of) {
            of.identities = identities;
        }
        task
    }

    #[test]
    fn a_processor_is_sent_what_it_declared_and_no_more() {
        let mut task = dispatch(&["email", "customer_id", "phone"]);
        task.named = task.of.named(&[kind("phone"), kind("email")]).unwrap();
        let message = task.message("acks", None);
        let sent: Vec<&str> = message.identities.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(sent, ["email", "phone"]);
        assert_eq!(task.of.named(&[kind("cookie_id")]), None);
        let all = [kind("phone"), kind("email"), kind("customer_id")];
        assert_eq!(task.of.named(&all), Some(Named::All));
        assert_eq!(dispatch(&[]).of.named(&all), None, "it names nobody");
    }

    #[test]
    fn debug_shows_neither_identifiers_nor_tokens() {
        let shown = format!("{:?}", dispatch(&["email"]));
        assert!(!shown.contains("canary") && !shown.contains("---"), "{shown}");
    }
}
