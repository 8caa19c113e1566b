//! What has to be seen of requests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Checks, Found,
    shown::{ensure, flag_of, plain, same, unknown},
};
use crate::{
    domain::words::Status,
    lab::scenario::{
        Stuck,
        naming::{id_of, items},
        script::Line,
    },
};

impl Checks<'_> {
    /// `2000 leavers: awaiting_approval`, `2000 leavers: crm asked to erase`.
    pub(super) async fn of_group(
        &mut self,
        line: &Line,
        count: &str,
        group: &str,
        phrases: &[Vec<&str>],
    ) -> Result<Found, Stuck> {
        let wanted: usize = count
            .parse()
            .map_err(|_| line.wrong("expected how many, and of which people"))?;
        let members: BTreeSet<String> = self
            .opened
            .iter()
            .filter(|name| name.rsplit_once('-').is_some_and(|(of, _)| of == group))
            .map(|name| id_of(name).to_string())
            .collect();
        for phrase in phrases {
            let found = match phrase.as_slice() {
                [status] => self.in_status(status, &members).await?,
                [processor, "asked", "to", action] => {
                    let asked = |task: &Value| {
                        task["request_id"].as_str().is_some_and(|id| members.contains(id))
                            && task["processor"] == *processor
                            && task["action"] == *action
                    };
                    self.name_tasks(asked).len()
                }
                _ => return Err(line.wrong("expected a status, or a processor asked to do something")),
            };
            if found != wanted {
                return Ok(Err(format!("there are {found}")));
            }
        }
        Ok(Ok(()))
    }

    async fn in_status(&self, status: &str, members: &BTreeSet<String>) -> Result<usize, Stuck> {
        let mut found = 0;
        let mut path = format!("/v1/requests?status={status}&limit=500");
        loop {
            let page = self.caller.read(&path).await?.json;
            let is_member =
                |item: &&Value| item["request_id"].as_str().is_some_and(|id| members.contains(id));
            found += items(&page["items"]).iter().filter(is_member).count();
            let Some(cursor) = page["next_cursor"].as_str() else {
                return Ok(found);
            };
            path = format!("/v1/requests?status={status}&limit=500&cursor={cursor}");
        }
    }

    pub(super) async fn of_request(
        &mut self,
        line: &Line,
        request: &str,
        phrases: &[Vec<&str>],
    ) -> Result<Found, Stuck> {
        let view = self.view(request).await?;
        for phrase in phrases {
            let found = match phrase.as_slice() {
                ["none"] => ensure(view.is_null(), || "there is one".to_owned()),
                ["ledger", "has", wanted @ ..] => self.of_ledger(request, wanted).await?,
                _ => self
                    .request_is(&view, phrase)
                    .ok_or_else(|| line.wrong(unknown(phrase)))?,
            };
            if found.is_err() {
                return Ok(found);
            }
        }
        Ok(Ok(()))
    }

    /// `ledger has refused`, `ledger has moved from d11 to d60`, `ledger has 1 restored`.
    async fn of_ledger(&self, request: &str, wanted: &[&str]) -> Result<Found, Stuck> {
        let (count, wanted) = match wanted {
            [count, rest @ ..] if count.parse::<usize>().is_ok() => (count.parse().ok(), rest),
            all => (None, all),
        };
        let kind = wanted.first().map(|kind| json!(kind));
        let path = format!("/v1/requests/{}/events?limit=500", id_of(request));
        let events = self.caller.read(&path).await?;
        let leaves = items(&events.json["items"]).iter();
        let entries = leaves.flat_map(|leaf| items(&leaf["entries"]));
        let found = entries.filter(|entry| self.entry_is(entry, wanted));
        // Entries are counted, and not what became of the tasks by them.
        let found = found.filter(|entry| count.is_none() || Some(&entry["type"]) == kind.as_ref());
        let found = found.count();
        let is_so = count.map_or(found > 0, |count: usize| count == found);
        Ok(ensure(is_so, || format!("it has {found} of {}", events.text)))
    }

    /// Of a task's entry it is the event that counts, too.
    pub(super) fn entry_is(&self, entry: &Value, wanted: &[&str]) -> bool {
        let [kind, fields @ ..] = wanted else {
            return false;
        };
        let of_it = |field: &str| match &entry["event"][field] {
            Value::Null => &entry[field],
            value => value,
        };
        let is = |field: &str, wanted: &str| {
            let value = of_it(field);
            plain(value) == wanted || self.same_time(value, wanted).is_ok()
        };
        (entry["type"] == *kind || entry["event"]["type"] == *kind)
            && fields.chunks(2).all(|pair| match pair {
                [field, wanted] => is(field, wanted),
                _ => false,
            })
    }

    /// `None`: that is no phrase about a request.
    pub(super) fn request_is(&self, view: &Value, phrase: &[&str]) -> Option<Found> {
        Some(match phrase {
            [word] if Status::parse(word).is_some() => same(&plain(&view["status"]), word),
            ["deadline", day] => self.same_time(&view["deadline"], day),
            ["rolled", day] => self.same_time(&view["deadline_rolled"], day),
            ["live_clean", at] => self.same_time(&view["live_clean_at"], at),
            ["not", flag] => flag_of(view, flag).map(|is| ensure(!is, || format!("it is {flag}")))?,
            ["waits", "for", rest @ ..] => {
                let entries = items(&view["waiting_for"]).iter();
                self.any_waits(entries.filter(|entry| entry["processor"].is_null()), rest)
            }
            ["refused", "on", basis] => same(&plain(&view["refused_on"]), basis),
            ["refusal", "of", processor, "on", basis] => {
                let share = json!({ "processor": processor, "basis": basis });
                let shares = items(&view["refusal"]["processors"]);
                ensure(shares.contains(&share), || format!("it is {}", view["refusal"]))
            }
            ["merged", "into", name] => {
                let into = plain(&view["merged_into"]);
                ensure(into == id_of(name).to_string(), || format!("it is {into}"))
            }
            [flag] => flag_of(view, flag).map(|is| ensure(is, || format!("it is not {flag}")))?,
            ["tasks", count] => same(&plain(&view["tasks"]["total"]), count),
            [field, member, value @ ..] if view[*field].is_object() => {
                same(&plain(&view[*field][*member]), &value.join(" "))
            }
            [field, value @ ..] if view.get(field).is_some() => same(&plain(&view[*field]), &value.join(" ")),
            _ => return None,
        })
    }
}
