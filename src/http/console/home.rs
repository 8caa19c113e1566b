//! The first page: how things stand, and what needs somebody now. Everything on it comes from counters and facts, so that it
//! takes the same time however many requests there are.

mod figures;

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use self::figures::{Figure, Figures, Kind};
use super::{
    super::{
        Api,
        auth::{Anyone, Auditor},
    },
    fault::Fault,
    page::page,
    parts::{nothing, notice, times::Times},
    visitor::Visitor,
};

/// `GET /`
pub(super) async fn show(State(api): State<Arc<Api>>, visitor: Visitor<Anyone>) -> Result<Markup, Fault> {
    let body = if !visitor.may::<Auditor>() {
        outsider()
    } else if visitor.caller.check_unlimited().is_err() {
        of_one_tenant()
    } else {
        overview(&api, &visitor).await?
    };
    Ok(page(&visitor, "/", "Overview", &body))
}

async fn overview(api: &Api, visitor: &Visitor<Anyone>) -> Result<Markup, Fault> {
    let figures = Figures::read(api, &visitor.caller).await?;
    let times = Times::of(api);
    Ok(html! {
        h1 { "Overview" }
        (urgent(&figures))
        h2 { "Requests" }
        (tiles(&figures.requests()))
        h2 { "Systems and work" }
        (tiles(&figures.work()))
        @if figures.is_empty() {
            (nothing("No request has come in yet.", &html! {
                "Upstream services send commands to Kafka or to " code { "POST /v1/requests" } ". "
                "Try it: " code { "lacuna submit command.json" } "."
            }))
        }
        p.soft { "Times on every page are those of " (times.zone_name()) "; point at one to see it in UTC." }
    })
}

/// What does not go on without a person.
fn urgent(figures: &Figures) -> Markup {
    let urgent = figures.urgent();
    html! {
        @if urgent.is_empty() {
            (notice("good", &html! { p { "Nothing needs anybody now." } }))
        } @else {
            h2 { "Needs somebody now" }
            ul { @for (says, href) in &urgent { li { a href=(href) { (says) } } } }
        }
    }
}

fn tiles(figures: &[Figure]) -> Markup {
    html! {
        ul.counts {
            @for figure in figures {
                li {
                    a href=(figure.href) class=[figure.class()] {
                        strong { (figure.n) @if figure.is_floor { "+" } }
                        (figure.name)
                    }
                }
            }
        }
    }
}

impl Figure {
    /// Colour is for the eye alone: the name says what it is.
    fn class(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Alarm if self.n > 0 => Some("alarm"),
            Kind::Mind if self.n > 0 => Some("mind"),
            _ => None,
        }
    }
}

/// For whoever sees their own requests only.
fn outsider() -> Markup {
    html! {
        h1 { "Lacuna" }
        p { "Put the id of a request into the search field above: its page says whether it is done, and if not, why not." }
    }
}

/// Counters are of all tenants, so nobody of one of them sees them.
fn of_one_tenant() -> Markup {
    html! {
        h1 { "Overview" }
        p { "You see the requests of your tenant." }
        ul {
            li { a href="/requests?overdue=true" { "Overdue requests" } }
            li { a href="/requests?at_risk=true" { "Requests at risk" } }
            li { a href="/requests?needs_attention=true" { "Requests that need attention" } }
            li { a href="/approvals" { "Requests that wait for an approval" } }
            li { a href="/deferred" { "What is deferred" } }
        }
    }
}
