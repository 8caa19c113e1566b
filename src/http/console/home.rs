//! The first page: what is going on.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::{
    super::{Api, auth::Auditor},
    fault::Fault,
    page::page,
    visitor::Visitor,
};

/// `GET /`
pub(super) async fn show(State(api): State<Arc<Api>>, visitor: Visitor<Auditor>) -> Result<Markup, Fault> {
    api.engine.ping().await?;
    let body = html! {
        h1 { "Overview" }
    };
    Ok(page(&visitor, "/", "Overview", &body))
}
