//! Filters that somebody has given a name: for the one who is signed in, for one page.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{
        super::{Api, auth::Auditor, problem::Problem},
        fault::Fault,
        posted::Posted,
        visitor::Visitor,
    },
    address::Address,
};
use crate::store::SavedView;

/// The pages that views are kept for.
const PAGES: [&str; 6] = [
    "/requests",
    "/approvals",
    "/deferred",
    "/dead-letters",
    "/manual",
    "/audit",
];
/// The longest name in characters: what fits in a line.
const MAX_NAME: usize = 60;
/// The longest query in bytes.
const MAX_QUERY: usize = 2_000;

#[derive(Deserialize)]
pub(super) struct Save {
    page: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    name: String,
}

/// The views of a page, and the form that keeps what is shown.
pub(super) async fn shown(
    api: &Api,
    visitor: &Visitor<Auditor>,
    address: &Address,
    page: &str,
) -> Result<Markup, Fault> {
    let views = api.engine.saved_views(&visitor.caller.name, page).await?;
    Ok(html! {
        @if !views.is_empty() {
            h2 { "My views" }
            ul.views {
                @for view in &views {
                    li {
                        a href={ (page) @if !view.query.is_empty() { "?" (view.query) } } { (view.name) }
                        form method="post" action="/views/forget" {
                            (visitor.csrf_field())
                            input type="hidden" name="page" value=(page);
                            input type="hidden" name="name" value=(view.name);
                            button.plain type="submit" { "Forget" span.unseen { " the view " (view.name) } }
                        }
                    }
                }
            }
        }
        @if address.is_filtered() {
            form.row.no-print method="post" action="/views" data-action="save-view" {
                (visitor.csrf_field())
                input type="hidden" name="page" value=(page);
                input type="hidden" name="query" value=(address.query());
                div {
                    label for="view-name" { "Keep this filter under a name" }
                    input #view-name type="text" name="name" required maxlength=(MAX_NAME) autocomplete="off";
                }
                button.plain type="submit" { "Keep it" }
            }
        }
    })
}

/// `POST /views`
pub(super) async fn save(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Posted(save): Posted<Save>,
) -> Result<Response, Fault> {
    let name = save.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(refused("a view needs a name of at most 60 characters").into());
    }
    if save.query.len() > MAX_QUERY {
        return Err(refused("the filter is too long to be kept").into());
    }
    let view = SavedView {
        name: name.to_owned(),
        page: page_of(&save.page)?.to_owned(),
        query: save.query,
    };
    api.engine.save_view(&visitor.caller.name, &view).await?;
    let query = if view.query.is_empty() {
        String::new()
    } else {
        format!("?{}", view.query)
    };
    Ok(to(&format!("{}{query}", view.page)))
}

/// `POST /views/forget`
pub(super) async fn forget(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Posted(save): Posted<Save>,
) -> Result<Response, Fault> {
    let page = page_of(&save.page)?;
    api.engine
        .forget_view(&visitor.caller.name, page, &save.name)
        .await?;
    Ok(to(page))
}

fn page_of(page: &str) -> Result<&'static str, Problem> {
    let known = PAGES.into_iter().find(|known| *known == page);
    known.ok_or_else(|| refused("views are kept for the lists of the console only"))
}

fn refused(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "form", detail)
}

/// Leads to a page of the console.
pub(super) fn to(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]).into_response()
}
