//! Webhooks to real servers on loopback, good and bad: what comes of each call, and that nothing is taken for an erasure
//! that is none.

mod answers;
pub mod peer;
mod proxies;
mod signatures;
mod tls;

use std::{path::Path, sync::Arc, time::Duration};

use lacuna::{
    clock::Clock,
    config::registry_file,
    domain::{ids::Tenant, registry::Processor, time::At, words::Outcome},
    engine::effects::TaskDispatch,
    transport::{
        http_client::Guard,
        sender::{Failed, Reply, Sender as _},
        webhook::{AnswerTo, WebhookSender},
    },
};

/// For calls that are answered: far longer than they take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What tasks are signed with, where that does not matter.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A processor with this webhook.
fn processor(keys: &str) -> Processor {
    let text = format!(
        "[[processor]]\nid = 'crm'\nkind = 'crm'\nactions = ['erase']\nidentities = ['email']\ntransport = {{ type = 'webhook', \
         {keys} }}\n"
    );
    registry_file::read_text("processors.toml", &text)
        .unwrap()
        .processors
        .remove(0)
}

/// One at this URL, with the usual secret.
fn at(url: &str) -> Processor {
    processor(&format!("url = '{url}', secret = '{SECRET}'"))
}

fn sender(folder: &Path) -> WebhookSender {
    guarded(folder, true)
}

fn guarded(folder: &Path, allow_private: bool) -> WebhookSender {
    let answer_to = AnswerTo {
        topic: Arc::from("lacuna.acks"),
        url: Some("https://lacuna.example.org/v1/acks".to_owned()),
    };
    WebhookSender::new(folder, Guard { allow_private }, answer_to, Clock::System)
}

fn task(processor: &Processor) -> TaskDispatch {
    let regime = lacuna::config::Config::default().policy.regime;
    TaskDispatch::of_nobody(processor, &Tenant::new("acme").unwrap(), &regime, At::default())
}

/// Sends a task to a URL, and gives what came of it.
async fn sent_to(url: &str, within: Duration) -> Reply {
    let processor = at(url);
    sender(Path::new(""))
        .send(&processor, &task(&processor), within)
        .await
}

/// Why nothing more is sent until somebody has done something about it.
fn stopped(reply: Reply) -> String {
    match reply {
        Reply::Unauthorised(why) => why.into_owned(),
        other => panic!("expected that it stops the lane, found {other:?}"),
    }
}

fn failure(reply: Reply) -> Failed {
    match reply {
        Reply::Failed(failed) => failed,
        other => panic!("expected a failure, found {other:?}"),
    }
}

fn outcome(reply: &Reply) -> Option<Outcome> {
    match reply {
        Reply::Ack(ack) => Some(ack.answer.outcome()),
        Reply::Failed(_) | Reply::Unauthorised(_) => None,
    }
}
