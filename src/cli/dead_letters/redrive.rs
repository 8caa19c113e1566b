//! `lacuna dead-letters redrive`: publishes original bytes to the topic that they came from, events of sources as commands, or has
//! a worker do it.

use serde_json::json;
use uuid::Uuid;

use super::{Exit, Failure, every, not_open, unknown, without_payload};
use crate::{
    app::{self, AppError},
    cli::{
        fields::text,
        output::Out,
        remote::{Client, Target, path, refuse_actor},
        session::{self, actor_or_user, block_on},
    },
    config::Config,
    domain::words::DeadLetterReason,
    engine::dead_letters::redriving::{NotPublished, NotRedriven, redrive},
    kafka::KafkaError,
};

/// Which letters, and who decides it.
pub(super) struct Wanted {
    pub(super) ids: Vec<Uuid>,
    pub(super) reason: Option<DeadLetterReason>,
    pub(super) actor: Option<String>,
    /// Why, in the words of whoever decides.
    pub(super) note: Option<String>,
}

/// Runs it. Each is done by itself: what went through is told, also where a later one fails.
pub(super) fn run(target: &Target, wanted: Wanted) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    let failures = match target {
        Target::Direct(config) => here(config, wanted, &mut out)?,
        Target::Remote(worker) => ask(worker, wanted, &mut out)?,
    };
    out.end()?;
    if failures.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::Several(failures))
    }
}

fn said(out: &mut Out, id: impl std::fmt::Display, place: &str) -> Result<(), Failure> {
    out.line(format_args!("redriven {id} {place}"))
}

fn here(config: &Config, wanted: Wanted, out: &mut Out) -> Result<Vec<Failure>, Failure> {
    let redriver = app::sources::redriver(config, session::cluster(config)?)?;
    let vault = session::vault(config)?;
    let actor = actor_or_user(wanted.actor);
    let note = wanted
        .note
        .map_or_else(|| actor.clone(), |why| format!("{actor}: {why}"));
    block_on(async {
        let store = session::open_store(config).await?;
        let ids = match wanted.reason {
            Some(reason) => {
                let open = every(store.as_ref(), true).await?.into_iter();
                open.filter(|letter| letter.reason == reason)
                    .map(|letter| letter.id)
                    .collect()
            }
            None => wanted.ids,
        };
        let mut failures = Vec::new();
        for id in ids {
            match redrive(store.as_ref(), &vault, &redriver, id, &note).await {
                Ok(redriven) => said(out, id, &redriven.place)?,
                Err(error) => failures.push(failed(id, error)),
            }
        }
        Ok(failures)
    })
}

fn failed(id: Uuid, error: NotRedriven) -> Failure {
    match error {
        NotRedriven::Unknown => unknown(id),
        NotRedriven::NotOpen(letter) => not_open(&letter),
        NotRedriven::NotKept(letter) => without_payload(&letter),
        NotRedriven::Engine(error) => AppError::from(error).into(),
        NotRedriven::NotPublished { source, .. } => not_published(id, source),
        error @ (NotRedriven::Headers(_) | NotRedriven::Raced { .. }) => Failure::NotSo(error.to_string()),
    }
}

fn not_published(id: Uuid, why: NotPublished) -> Failure {
    match why {
        NotPublished::MissingTopic(why) | NotPublished::Unconfirmed(why) => {
            match why.downcast::<KafkaError>() {
                Ok(error) => (*error).into(),
                Err(error) => Failure::NotSo(error.to_string()),
            }
        }
        NotPublished::NotNow(_) => Failure::Unreachable(format!("dead letter {id} is not redriven: {why}")),
        NotPublished::NotRead(_) | NotPublished::Unmapped { .. } | NotPublished::Skipped(_) => {
            Failure::NotSo(format!("dead letter {id} is not redriven: {why}"))
        }
    }
}

fn ask(worker: &Client, wanted: Wanted, out: &mut Out) -> Result<Vec<Failure>, Failure> {
    refuse_actor(wanted.actor.as_deref())?;
    let ids: Vec<String> = match wanted.reason {
        Some(reason) => {
            let query = [("reason", reason.to_string())];
            let (open, _) = worker.list(&path(&["dead-letters"]), &query, usize::MAX)?;
            open.iter().map(|letter| text(letter, "id")).collect()
        }
        None => wanted.ids.iter().map(ToString::to_string).collect(),
    };
    let body = wanted
        .note
        .map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let mut failures = Vec::new();
    for id in ids {
        match worker.post(&path(&["dead-letters", &id, "redrive"]), &body) {
            Ok(redriven) => said(out, id, &text(&redriven, "redriven_to"))?,
            Err(failure) => failures.push(failure),
        }
    }
    Ok(failures)
}
