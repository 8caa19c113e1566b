//! What people did, as the ledger has it: who looked, who decided, who ran the installation.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    super::{
        super::{
            Api,
            auth::Auditor,
            csv,
            problem::Problem,
            query::{Params, cursor},
        },
        fault::Fault,
        page::page,
        parts::{
            badge::badge,
            request_link,
            table::{Column, pager, table_or},
            times::Times,
        },
        visitor::Visitor,
    },
    address::{Address, choice, field, filter_box, preset},
    views,
};
use crate::{
    domain::{entry::Leaf, ids::RequestId, time::At},
    store::{ActFilter, ActKind, ActPlace, ActRow},
    view::sentences::entries,
};

/// The list of a cursor.
const ACTS: u8 = b'a';

const KEYS: &[&str] = &["by", "kind", "at_after", "at_before", "limit", "cursor"];

/// `GET /audit`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Response, Fault> {
    visitor.caller.check_unlimited()?;
    let (address, times) = (Address::read(&uri), Times::of(&api));
    let mut params = address.params(KEYS, &times)?;
    let as_csv = csv::is_asked(&mut params);
    let mut wanted = Wanted::read(params)?;
    if as_csv {
        wanted.limit = csv::ROWS;
        return Ok(csv::list(api, "audit", COLUMNS, wanted));
    }
    let (acts, next) = wanted.page(&api).await?;
    let (first, next) = address.pages(next.as_deref());
    let rows: Vec<Vec<Markup>> = acts.iter().map(|(act, leaf)| row(act, leaf, &times)).collect();
    let columns = [
        Column::new("When"),
        Column::new("Who"),
        Column::new("What kind"),
        Column::new("What"),
        Column::new("About"),
    ];
    let body = html! {
        h1 { "Audit" }
        p { "Every look at what is about a person, every decision and every act of whoever runs the installation is an entry of the ledger. Here they stand, the latest first; reasons lie sealed beside the entries, and are shown with their requests." }
        (filters(&address, visitor.caller.name.as_str()))
        (table_or("What people did", &columns, &rows, "Nobody has done anything that meets this filter", &html! { "What was done under a version of Lacuna before this list stands in the ledger of its request." }))
        (pager(first.as_deref(), next.as_deref()))
        p.no-print { a href=(address.with("format", "csv").href()) download { "This list as CSV" } }
        (views::shown(&api, &visitor, &address, "/audit").await?)
    };
    Ok(page(&visitor, "/audit", "Audit", &body).into_response())
}

fn filters(address: &Address, me: &str) -> Markup {
    let kinds = ActKind::ALL.map(|kind| (kind.as_str().to_owned(), kind.as_str().to_owned()));
    let of = |pairs: &[(&str, &str)]| Address::of("/audit", pairs);
    html! {
        ul.counts.no-print aria-label="Often looked for" {
            (preset(address, &of(&[("kind", "look")]), "looks", None))
            (preset(address, &of(&[("kind", "decision")]), "decisions", None))
            (preset(address, &of(&[("kind", "operation")]), "operators' acts", None))
            (preset(address, &of(&[("by", me)]), "mine", None))
        }
        (filter_box(address, "Filter", &html! {
                (field(address, "text", "by", "Who"))
                (choice(address, "kind", "What kind", "any", &kinds))
                (field(address, "date", "at_after", "From"))
                (field(address, "date", "at_before", "Until"))
        }))
    }
}

fn row(act: &ActRow, leaf: &Leaf, times: &Times) -> Vec<Markup> {
    let (at, id, _) = act.place;
    vec![
        times.when(at),
        html! { a href=(Address::of("/audit", &[("by", &act.actor)]).href()) { (act.actor) } },
        badge("calm", act.kind.as_str()),
        html! { (said(leaf).join("; ")) },
        match act.kind {
            ActKind::Decision => request_link(&id),
            ActKind::Look | ActKind::Operation => html! { "entry " (super::super::parts::short_id(&id)) },
        },
    ]
}

/// What the entries of a leaf say.
fn said(leaf: &Leaf) -> Vec<String> {
    let mut said: Vec<String> = entries::acts(leaf);
    said.dedup();
    said
}

/// A list that somebody asks for.
struct Wanted {
    filter: ActFilter,
    limit: usize,
}

impl Wanted {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let kinds = ActKind::ALL.map(ActKind::as_str).join(", ");
        let filter = ActFilter {
            actor: params.take("by", "a name", |text| Some(text.to_owned())),
            kind: params.take("kind", &format!("one of {kinds}"), ActKind::parse),
            since: params.time("at_after"),
            until: params.time("at_before"),
            after: params.cursor(ACTS).map(place_of),
            limit: 0,
        };
        let limit = params.limit();
        params.finish()?;
        Ok(Self { filter, limit })
    }

    async fn page(&mut self, api: &Api) -> Result<(Vec<(ActRow, Leaf)>, Option<String>), Problem> {
        self.filter.limit = u32::try_from(self.limit + 1).unwrap_or(u32::MAX);
        let mut acts = api.engine.acts(&self.filter).await?;
        let more = acts.len() > self.limit;
        acts.truncate(self.limit);
        self.filter.after = acts.last().filter(|_| more).map(|(act, _)| act.place);
        Ok((acts, self.filter.after.map(|place| cursor(ACTS, bytes_of(place)))))
    }
}

const COLUMNS: [&str; 5] = ["at", "by", "kind", "what", "ledger_entry"];

#[async_trait]
impl csv::Source<5> for Wanted {
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; 5]>, bool), Problem> {
        let (acts, next) = self.page(api).await?;
        let cells = acts.iter().map(|(act, leaf)| {
            let (at, id, _) = act.place;
            [
                at.to_string(),
                act.actor.clone(),
                act.kind.as_str().to_owned(),
                said(leaf).join("; "),
                id.to_string(),
            ]
        });
        Ok((cells.collect(), next.is_some()))
    }
}

fn bytes_of((at, id, n): ActPlace) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[..8].copy_from_slice(&at.millis().to_be_bytes());
    bytes[8..24].copy_from_slice(id.0.as_bytes());
    bytes[24..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn place_of(bytes: [u8; 28]) -> ActPlace {
    let (mut at, mut id, mut n) = ([0; 8], [0; 16], [0; 4]);
    at.copy_from_slice(&bytes[..8]);
    id.copy_from_slice(&bytes[8..24]);
    n.copy_from_slice(&bytes[24..]);
    (
        At::from_millis(i64::from_be_bytes(at)),
        RequestId(Uuid::from_bytes(id)),
        u32::from_be_bytes(n),
    )
}
