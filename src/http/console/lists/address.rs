//! The address of a list: its path and its filters, with one of them changed for a link.

use axum::http::Uri;
use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};

use super::super::{
    super::{problem::Problem, query::Params},
    parts::times::Times,
};

/// An address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Address {
    /// Reads one. A form leaves empty what nobody has filled in, and sends a list as the same field several times.
    pub(super) fn read(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        // What cannot be read at all is no filter; what can be is checked by the list.
        let given: Vec<(String, String)> = serde_html_form::from_str(query).unwrap_or_default();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in given {
            let value = value.trim().to_owned();
            if value.is_empty() {
                continue;
            }
            match pairs.iter_mut().find(|(known, _)| *known == name) {
                Some((_, list)) if name == "status" => {
                    list.push(',');
                    list.push_str(&value);
                }
                _ => pairs.push((name, value)),
            }
        }
        Self {
            path: uri.path().to_owned(),
            pairs,
        }
    }

    /// Another one, without filters.
    pub(super) fn of(path: &str, pairs: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            path: path.to_owned(),
            pairs: pairs.iter().map(pair).collect(),
        }
    }

    /// The value of a filter.
    pub(super) fn get(&self, name: &str) -> &str {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// With a filter set, or taken away where the value is empty. The page begins anew.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed
            .pairs
            .retain(|(known, _)| known != name && known != "cursor");
        if !value.is_empty() {
            changed.pairs.push((name.to_owned(), value.to_owned()));
        }
        changed
    }

    /// With a filter set, at the same place in the list.
    pub(super) fn with_kept(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.pairs.retain(|(known, _)| known != name);
        changed.pairs.push((name.to_owned(), value.to_owned()));
        changed
    }

    /// Its filters as a query, without where it stands in the list.
    pub(super) fn query(&self) -> String {
        let pairs: Vec<&(String, String)> = self
            .pairs
            .iter()
            .filter(|(name, _)| name != "cursor" && name != "format")
            .collect();
        serde_html_form::to_string(pairs).unwrap_or_default()
    }

    /// As it stands in a link.
    pub(super) fn href(&self) -> String {
        let query = serde_html_form::to_string(&self.pairs).unwrap_or_default();
        if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{query}", self.path)
        }
    }

    /// The page after this one, and the first one where this is another.
    pub(super) fn pages(&self, next: Option<&str>) -> (Option<String>, Option<String>) {
        let first = (!self.get("cursor").is_empty()).then(|| self.with("cursor", "").href());
        (first, next.map(|cursor| self.with("cursor", cursor).href()))
    }

    /// Whether it has filters.
    pub(super) fn is_filtered(&self) -> bool {
        !self.query().is_empty()
    }

    /// Its filters for the list that checks them. Days are read in the policy's zone: after a day's beginning, before its end.
    pub(super) fn params(&self, known: &[&str], times: &Times) -> Result<Params, Problem> {
        let known = [known, &["format"]].concat();
        let given = self.pairs.iter().map(|(name, value)| {
            let value = day(name, value, times).unwrap_or_else(|| value.clone());
            (name.clone(), value)
        });
        Params::given(given.collect(), &known)
    }
}

/// A day of a form as the time that the list takes.
fn day(name: &str, value: &str, times: &Times) -> Option<String> {
    if value.len() != 10 {
        return None;
    }
    let date: Date = value.parse().ok()?;
    let midnight = |date: Date| date.to_zoned(times.zone.clone()).ok().map(|day| day.timestamp());
    let at = if name.ends_with("_after") {
        midnight(date)?.checked_sub(1.millisecond()).ok()?
    } else if name.ends_with("_before") {
        midnight(date.tomorrow().ok()?)?
    } else {
        return None;
    };
    Some(at.to_string())
}

/// A link that is said to be chosen where it leads to what is shown.
pub(super) fn preset(address: &Address, target: &Address, name: &str, count: Option<String>) -> Markup {
    let is_here = address.query() == target.query();
    html! {
        li {
            a href=(target.href()) aria-current=[is_here.then_some("true")] {
                @if let Some(count) = count { strong { (count) } }
                (name)
            }
        }
    }
}

/// A field of a filter: a choice.
pub(super) fn choice(
    address: &Address,
    name: &str,
    label: &str,
    any: &str,
    options: &[(String, String)],
) -> Markup {
    let id = format!("filter-{name}");
    let chosen = address.get(name);
    html! {
        div {
            label for=(id) { (label) }
            select id=(id) name=(name) {
                option value="" { (any) }
                @for (value, said) in options {
                    option value=(value) selected[value == chosen] { (said) }
                }
                // A choice of several that a link has made stays as it is.
                @if !chosen.is_empty() && options.iter().all(|(value, _)| value != chosen) {
                    option value=(chosen) selected { (chosen.replace('_', " ").replace(',', ", ")) }
                }
            }
        }
    }
}

/// A field of a filter: a text or a day.
pub(super) fn field(address: &Address, kind: &str, name: &str, label: &str) -> Markup {
    let id = format!("filter-{name}");
    // A time that a link has brought is no day, and stays as it is.
    let value = address.get(name);
    let kind = if kind == "date" && value.len() > 10 {
        "text"
    } else {
        kind
    };
    html! {
        div {
            label for=(id) { (label) }
            input id=(id) type=(kind) name=(name) value=(value) autocomplete="off";
        }
    }
}

/// The box with the filters of a list. `title`: what it is called; `fields`: what the list can be filtered by.
pub(super) fn filter_box(address: &Address, title: &str, fields: &Markup) -> Markup {
    let here = address.path.as_str();
    html! {
        details.box.no-print open[address.is_filtered()] {
            summary { (title) }
            form.row method="get" action=(here) {
                (fields)
                button type="submit" { "Show" }
                @if address.is_filtered() { a.button href=(here) { "Take the filters off" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::time::At;

    #[test]
    fn fields_that_nobody_filled_in_are_no_filters() {
        let uri: Uri = "/requests?tenant=&status=refused&status=cancelled&cursor=x"
            .parse()
            .unwrap();
        let address = Address::read(&uri);
        assert_eq!(address.query(), "status=refused%2Ccancelled");
        assert_eq!(
            address.with("tenant", "acme").href(),
            "/requests?status=refused%2Ccancelled&tenant=acme"
        );
        assert_eq!(address.get("tenant"), "");
    }

    #[test]
    fn days_are_those_of_the_policys_zone() {
        let times = Times {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            now: At::default(),
        };
        assert_eq!(
            day("due_after", "2026-12-01", &times).unwrap(),
            "2026-11-30T22:59:59.999Z"
        );
        assert_eq!(
            day("due_before", "2026-12-01", &times).unwrap(),
            "2026-12-01T23:00:00Z"
        );
        assert_eq!(day("due_before", "2026-12-01T00:00:00Z", &times), None);
    }
}
