//! The console: pages for people, rendered here from the typed views. Each of them works without JavaScript.
//!
//! It decides nothing: every form is a use case that the API has too, with the same roles. No page holds an identifier that
//! its visitor may not see, none is kept by a cache, and none loads anything from elsewhere.

mod assets;
mod brake;
mod browser;
mod dead_letter;
mod error_page;
mod fault;
mod frame;
mod help;
mod hold;
mod home;
mod identifiers;
mod lists;
mod manual_task;
mod new_hold;
mod oidc;
mod page;
mod parts;
mod posted;
mod processor;
mod report;
mod request;
mod search;
mod sign_in;
mod throttle;
mod visitor;
mod way_in;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use super::Api;

pub(super) use self::browser::Browsers;

/// The pages, and what they are made of.
pub(super) fn routes(api: &Arc<Api>) -> Router<Arc<Api>> {
    Router::new()
        .route("/", get(home::show))
        .route("/report", get(report::show))
        .route("/login", get(sign_in::show).post(sign_in::take))
        .route("/login/oidc", get(oidc::begin))
        .route("/login/callback", get(oidc::come_back))
        .route("/logout", post(sign_in::end))
        .merge(lists::routes())
        .route("/help", get(help::show))
        .route("/search", post(search::search))
        .merge(request::routes())
        .merge(processor::routes())
        .merge(brake::routes())
        .merge(hold::routes())
        .merge(new_hold::routes())
        .merge(manual_task::routes())
        .merge(dead_letter::routes())
        .route("/requests/{id}/identifiers", post(identifiers::show_of_request))
        .route("/dead-letters/{id}/original", post(identifiers::show_of_letter))
        .layer(middleware::from_fn(error_page::dress))
        .layer(middleware::from_fn_with_state(
            Arc::clone(api),
            browser::recognise,
        ))
        .layer(middleware::map_response(frame::protect))
        // They are the same for everyone, and are kept by browsers.
        .merge(assets::routes())
}
