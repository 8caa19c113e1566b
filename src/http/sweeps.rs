//! Sweeps: how far the walks have come that apply facts to the requests that they concern.

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};

use super::{
    Api,
    auth::{Auditor, By},
    calls::{Calls, Limit},
    problem::Problem,
    query::{Page, Params},
};
use crate::view::sweep::SweepView;

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().get("/v1/sweeps", list, |call| {
        call.says("Lists the walks that apply facts to the requests that they concern, the newest first")
            .query::<bool>("unfinished", "Only those that go on.")
            .query::<Limit>("limit", "How many at the most.")
            .answers::<Page<SweepView>>(200, "The sweeps.")
    })
}

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
    let waiting = api.engine.fact_sweeps().waiting_sweeps(&sweeps).await?;
    Ok(Json(Page {
        items: SweepView::all(sweeps, waiting),
        next_cursor: None,
    }))
}
