//! The console: pages for people, rendered here from the typed views. Each of them works without JavaScript.
//!
//! It decides nothing: every form is a use case that the API has too, with the same roles. No page holds an identifier that
//! its visitor may not see, none is kept by a cache, and none loads anything from elsewhere.

mod assets;
mod fault;
mod home;
mod page;
mod parts;
mod visitor;

use std::sync::Arc;

use axum::{Router, middleware, routing::get};

use super::Api;

/// The pages, and what they are made of.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/", get(home::show))
        .layer(middleware::map_response(page::protect))
        // They are the same for everyone, and are kept by browsers.
        .merge(assets::routes())
}
