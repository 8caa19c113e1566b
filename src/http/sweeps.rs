//! Sweeps: how far the walks have come that apply facts to the requests that they concern.

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};

use super::{
    Api,
    auth::{Auditor, By},
    problem::Problem,
    query::{Page, Params},
};
use crate::view::sweep::SweepView;

/// `GET /v1/sweeps`: the newest first. Older ones than a page shows are over.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<SweepView>>, Problem> {
    let mut params = Params::read(&uri, &["unfinished", "limit"])?;
    let unfinished = params.flag("unfinished").unwrap_or(false);
    let limit = u32::try_from(params.limit()).unwrap_or(u32::MAX);
    params.finish()?;
    caller.check_unlimited()?;
    let sweeps = api.engine.sweeps(unfinished, limit).await?;
    let waiting = api.engine.waiting_sweeps(&sweeps).await?;
    Ok(Json(Page {
        items: SweepView::all(sweeps, waiting),
        next_cursor: None,
    }))
}
