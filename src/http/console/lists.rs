//! The lists of the console. Every filter stands in the address, so that a list can be kept, sent to somebody and come back to.

mod address;
mod audit;
mod backups;
mod bulk;
mod dead_letters;
mod deferred;
mod holds;
mod jobs;
mod manual;
mod processors;
mod registry;
mod requests;
mod sweeps;
mod views;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use super::super::Api;

/// The pages of lists.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/requests", get(requests::show))
        .route("/approvals", get(requests::approvals))
        .route("/deferred", get(deferred::show))
        .route("/processors", get(processors::show))
        .route("/holds", get(holds::show))
        .route("/dead-letters", get(dead_letters::show))
        .route("/manual", get(manual::show))
        .route("/backups", get(backups::show))
        .route("/sweeps", get(sweeps::show))
        .route("/registry", get(registry::show))
        .route("/audit", get(audit::show))
        .route("/views", post(views::save))
        .route("/views/forget", post(views::forget))
        .route("/bulk", get(jobs::list).post(bulk::start))
        .route("/bulk/preview", post(bulk::preview))
        .route("/bulk/{id}", get(jobs::one))
        .route("/bulk/{id}/pause", post(jobs::pause))
        .route("/bulk/{id}/resume", post(jobs::resume))
        .route("/bulk/{id}/cancel", post(jobs::cancel))
}
