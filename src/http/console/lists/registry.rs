//! The registry: what is active, and how the file of this worker differs from it.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::super::{
    super::{Api, auth::Auditor},
    fault::Fault,
    page::page,
    parts::notice,
    visitor::Visitor,
};
use crate::{
    config::{RegistryFile, registry_file},
    domain::registry::Registry,
    view::registry,
};

/// `GET /registry`
pub(super) async fn show(State(api): State<Arc<Api>>, visitor: Visitor<Auditor>) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let active = api.engine.active()?;
    let body = html! {
        h1 { "Registry" }
        p { "Revision " strong { (active.revision) } " is active for all workers: what it says of transports, delays and terms holds now; plans that are made already keep what they pinned." }
        @if let Some(file) = &api.registry_file {
            (compared(file, &active.registry).await)
        }
        h2 { "What is active" }
        pre tabindex="0" aria-label="The active registry" { code { (registry::whole(&active.registry)) } }
        p.soft { "Secrets are shown as where they come from. " code { "lacuna registry show" } " prints the same." }
    };
    Ok(page(&visitor, "/registry", "Registry", &body))
}

/// How the file differs. It is a few pages, and read as this page is asked for.
async fn compared(file: &RegistryFile, active: &Registry) -> Markup {
    let path = file.clone();
    let read = tokio::task::spawn_blocking(move || registry_file::read(&path)).await;
    let name = file
        .path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "the registry file".to_owned());
    let in_file = match read {
        Ok(Ok(in_file)) => in_file,
        // Its mistakes are for whoever has the file: `lacuna check` names them.
        Ok(Err(_)) | Err(_) => {
            return notice(
                "bad",
                &html! { p { strong { "This worker's " (name) " cannot be read, or has mistakes." } " The active revision stays. " code { "lacuna check" } " names them." } },
            );
        }
    };
    let changes = registry::changes(active, &in_file);
    if changes.is_empty() {
        return notice("good", &html! { p { "This worker's " (name) " says the same." } });
    }
    html! {
        (notice("warn", &html! {
            p { strong { "This worker's " (name) " differs from what is active." } " " code { "lacuna registry apply" } " or SIGHUP activates the file." }
        }))
        h2 { "What the file would change" }
        pre tabindex="0" aria-label="What the file would change" { code { (changes.join("\n")) } }
    }
}
