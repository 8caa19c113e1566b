//! A processor of a connector whose calls go to an imitation.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    super::{
        VendorSender,
        notes::{InMemory, Notes as _},
    },
    imitation::{Imitation, Said},
};
use crate::{
    clock::Clock,
    config::{connectors, registry_file},
    connector::{Connector, Kept},
    domain::{ack::Ack, ids::TaskId, registry::Processor, time::At},
    engine::{accepted::AskedAbout, effects::TaskDispatch},
    transport::{
        http_client::Guard,
        sender::{Failed, Reply, Sender as _},
    },
};

pub(super) const WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Site {
    pub(super) vendor: Arc<Imitation>,
    pub(super) sender: VendorSender,
    pub(super) processor: Processor,
    pub(super) notes: InMemory,
    /// Where its connector lies, where that is a test's own.
    _folder: Option<tempfile::TempDir>,
}

/// A connector that the program brings along.
pub(super) fn shipped(id: &str) -> Connector {
    connectors::find(None, id).unwrap().expect("it is shipped").0
}

impl Site {
    pub(super) async fn new(connector: &str, answers: Vec<Said>) -> Self {
        Self::of(&shipped(connector), Imitation::in_order(answers).await)
    }

    pub(super) fn of(connector: &Connector, vendor: Arc<Imitation>) -> Self {
        Self::within(None, connector, vendor)
    }

    /// With a folder of connectors of one's own.
    pub(super) fn within(folder: Option<&Path>, connector: &Connector, vendor: Arc<Imitation>) -> Self {
        let notes = InMemory::default();
        let guard = Guard { allow_private: true };
        let connectors = folder.map(Path::to_owned);
        Self {
            sender: VendorSender::new(
                Path::new(""),
                connectors,
                guard,
                Arc::new(notes.clone()),
                Clock::System,
            ),
            processor: processor(folder, connector, &vendor),
            notes,
            vendor,
            _folder: None,
        }
    }

    /// With a connector of the test's own.
    pub(super) fn own(text: &str, vendor: Arc<Imitation>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connector =
            connectors::read_text("own.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
        std::fs::write(folder.path().join(format!("{}.toml", connector.id)), text).unwrap();
        let mut site = Self::within(Some(folder.path()), &connector, vendor);
        site._folder = Some(folder);
        site
    }

    /// The same task, as its vendor is asked about it.
    pub(super) fn about(&self, task: &TaskDispatch) -> AskedAbout {
        let mut about = AskedAbout::for_tests("vendor");
        (about.request, about.task, about.generation) = (task.request(), task.id, task.generation);
        about
    }

    /// How the jobs stand of tasks that have kept this, each in a word: that of an outcome, `pending`, or why it is not known.
    pub(super) async fn polled(&self, kept: Vec<Kept>) -> Vec<String> {
        let mut due = Vec::new();
        for (n, mut kept) in (1..).zip(kept) {
            let mut about = AskedAbout::for_tests("vendor");
            about.task = TaskId(uuid::Uuid::from_u128(n));
            kept.generation = 1;
            kept.begun = Some(At::default());
            kept.sent = kept.begun;
            self.notes
                .write(&[((about.request, about.task), kept)])
                .await
                .unwrap();
            due.push(about);
        }
        let mut heard = self.sender.ask(&self.processor, due).await;
        heard.sort_by_key(|(about, _)| about.task);
        let word = |known| match known {
            Ok(None) => "pending".to_owned(),
            Ok(Some(Ack { answer, .. })) => answer.outcome().as_str().to_owned(),
            Err(why) => why,
        };
        heard.into_iter().map(|(_, known)| word(known)).collect()
    }

    pub(super) async fn send(&self, task: &TaskDispatch) -> Reply {
        self.sender.send(&self.processor, task, WITHIN).await
    }

    pub(super) async fn kept(&self, task: &TaskDispatch) -> Option<Kept> {
        let of = (task.request(), task.id);
        self.notes.read(&[of]).await.unwrap().remove(&of)
    }
}

fn processor(folder: Option<&Path>, connector: &Connector, vendor: &Imitation) -> Processor {
    let mut settings = String::new();
    for (name, setting) in connector
        .settings
        .iter()
        .filter(|(_, setting)| setting.default.is_none())
    {
        let value = match (setting.integer, setting.one_of.first()) {
            (true, _) => "42".to_owned(),
            (false, Some(first)) => format!("'{first}'"),
            (false, None) => format!("'{}'", name.to_uppercase()),
        };
        settings.push_str(&format!(", {name} = {value}"));
    }
    let identities: Vec<String> = connector
        .identities
        .keys()
        .map(|kind| format!("'{kind}'"))
        .collect();
    let text = format!(
        "[[processor]]\nid = 'vendor'\nkind = '{}'\nactions = ['erase']\nidentities = [{}]\n\
         transport = {{ type = 'vendor', connector = '{}', url = 'http://{}'{settings} }}\n",
        connector.kind,
        identities.join(", "),
        connector.id,
        vendor.address
    );
    let registry = registry_file::read_with("processors.toml", &text, folder);
    let registry = registry.unwrap_or_else(|problems| panic!("{problems}"));
    registry.processors[0].clone()
}

/// A task that names somebody.
pub(super) fn task(identities: &[(&str, &str)]) -> TaskDispatch {
    identities
        .iter()
        .fold(TaskDispatch::for_tests("vendor"), |task, (kind, value)| {
            task.naming(kind, value)
        })
}

/// What it came to, in a word: that of an outcome, else `failed`, `rate_limited` or `unauthorised`.
pub(super) fn word(reply: &Reply) -> &'static str {
    match reply {
        Reply::Ack(ack) => ack.answer.outcome().as_str(),
        Reply::Failed(Failed { counts: true, .. }) => "failed",
        Reply::Failed(_) => "rate_limited",
        Reply::Unauthorised(_) => "unauthorised",
    }
}

pub(super) fn why(reply: Reply) -> String {
    match reply {
        Reply::Failed(failed) => failed.why.into_owned(),
        Reply::Unauthorised(why) => why.into_owned(),
        Reply::Ack(ack) => ack.message.unwrap_or_default(),
    }
}
