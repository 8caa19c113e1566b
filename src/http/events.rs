//! A request's ledger entries, readable, with what people wrote beside them. The entries hold no subject data, so nothing
//! has to be left out.

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};

use super::{
    Api,
    auth::{Auditor, By},
    calls::Calls,
    problem::Problem,
    query::{Id, Page, Params, cursor},
};
use crate::{
    domain::{entry::Leaf, identity::Mask, ids::RequestId},
    engine::{
        Engine, EngineError,
        decisions::{notes_of, written},
    },
    store::StoredLeaf,
    view::event::LeafView,
};

/// The list of a cursor.
const EVENTS: u8 = b'e';

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().get("/v1/requests/{id}/events", of_request, |call| {
        call.says("Lists the ledger entries of a request, the oldest first")
            .paged()
            .answers::<Page<LeafView>>(200, "A page of entries.")
    })
}

/// `GET /v1/requests/{id}/events`
pub(super) async fn of_request(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    Id(id): Id<RequestId>,
    uri: Uri,
) -> Result<Json<Page<LeafView>>, Problem> {
    let mut params = Params::read(&uri, &["limit", "cursor"])?;
    let limit = params.limit();
    let after = params.cursor(EVENTS).map(u32::from_be_bytes);
    params.finish()?;
    caller.check_request(&api.engine, id).await?;
    // Of a request whose rows are gone there are entries still.
    let full = api.engine.full_request(id).await?;
    let mask = full
        .as_ref()
        .map_or_else(Mask::of_forgotten, |full| api.engine.mask_of(full));
    let stored = match full {
        Some(full) => full.leaves,
        None => api.engine.leaves(id).await?,
    };
    if stored.is_empty() {
        return Err(Problem::unknown("request"));
    }
    let mut rest = stored
        .iter()
        .filter(|leaf| after.is_none_or(|after| leaf.n > after));
    let items = rest
        .by_ref()
        .take(limit)
        .map(|leaf| view(&api.engine, id, leaf, &mask))
        .collect::<Result<Vec<_>, _>>()?;
    let next = if rest.next().is_some() {
        items.last().map(|leaf| cursor(EVENTS, leaf.n.to_be_bytes()))
    } else {
        None
    };
    Ok(Json(Page {
        items,
        next_cursor: next,
    }))
}

fn view(engine: &Engine, id: RequestId, stored: &StoredLeaf, mask: &Mask) -> Result<LeafView, EngineError> {
    let leaf = Leaf::from_bytes(&stored.leaf)?;
    LeafView::of(&leaf, written(&notes_of(&engine.vault, id, stored, mask)))
}
