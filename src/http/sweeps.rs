//! Sweeps: how far the walks have come that apply facts to the requests that they concern.

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};
use serde::Serialize;

use super::{
    Api,
    auth::{By, Operator},
    problem::Problem,
    query::{Page, Params},
};
use crate::{
    domain::{
        fact::{FactKind, FactVersion},
        time::At,
    },
    store::Sweep,
};

#[derive(Debug, Serialize)]
pub(super) struct SweepView {
    version: FactVersion,
    fact: FactKind,
    started_at: At,
    updated_at: At,
    finished_at: Option<At>,
    done: u64,
    /// How many there were to look at, about; `None`: not counted yet.
    total: Option<u64>,
}

impl From<Sweep> for SweepView {
    fn from(sweep: Sweep) -> Self {
        Self {
            version: sweep.version,
            fact: sweep.kind,
            started_at: sweep.started_at,
            updated_at: sweep.updated_at,
            finished_at: sweep.finished_at,
            done: sweep.done,
            total: sweep.total,
        }
    }
}

/// `GET /v1/sweeps`: the newest first. Older ones than a page shows are over.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: By<Operator>,
    uri: Uri,
) -> Result<Json<Page<SweepView>>, Problem> {
    let mut params = Params::read(&uri, &["unfinished", "limit"])?;
    let unfinished = params.flag("unfinished").unwrap_or(false);
    let limit = u32::try_from(params.limit()).unwrap_or(u32::MAX);
    params.finish()?;
    let sweeps = api.engine.store.sweeps(unfinished, limit).await?;
    Ok(Json(Page {
        items: sweeps.into_iter().map(SweepView::from).collect(),
        next_cursor: None,
    }))
}
