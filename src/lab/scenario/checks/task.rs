//! What has to be seen of tasks.

use serde_json::Value;

use super::{
    Checks, Found,
    shown::{ensure, list_of, listed, plain, said_asked, said_state, same, unknown},
};
use crate::{
    domain::words::TaskStateName,
    lab::scenario::{Stuck, naming::Which, script::Line},
};

impl Checks<'_> {
    pub(super) async fn of_task(
        &mut self,
        line: &Line,
        task: &str,
        phrases: &[Vec<&str>],
    ) -> Result<Found, Stuck> {
        let which = Which::read(task);
        let last = self.opened.last().map(String::as_str);
        let request = which
            .request
            .or(last)
            .ok_or_else(|| line.wrong("no request was opened"))?;
        let of_it = Which {
            request: Some(request),
            ..which
        };
        let is_sent = |phrase: &Vec<&str>| matches!(phrase.as_slice(), ["asked" | "by" | "about", ..]);
        let sent = if phrases.iter().any(is_sent) {
            self.name_tasks(|task| of_it.is_sent_as(task))
        } else {
            Vec::new()
        };
        let view = self.view(request).await?;
        let shown = of_it.shown_in(&view);
        for phrase in phrases {
            let found = self
                .task_is(&sent, shown, phrase)
                .ok_or_else(|| line.wrong(unknown(phrase)))?;
            if found.is_err() {
                return Ok(found);
            }
        }
        Ok(Ok(()))
    }

    /// `None`: that is no phrase about a task.
    pub(super) fn task_is(&self, sent: &[&Value], shown: Option<&Value>, phrase: &[&str]) -> Option<Found> {
        let message = sent.last().copied();
        let said = |is: &dyn Fn(&Value) -> String, wanted: &str| {
            message.map_or_else(
                || Err("it was not asked".to_owned()),
                |task| same(&is(task), wanted),
            )
        };
        Some(match phrase {
            ["asked", "to", action] => said(&said_asked, action),
            ["asked", "to", action, "again"] => said(&said_asked, &format!("{action} again")),
            // Separated by commas, in this order.
            ["by", kinds] if kinds.contains(',') => said(&in_order, kinds),
            ["by", kinds @ ..] => said(&|task| list_of(&task["identities"], "type"), &listed(kinds)),
            ["about", categories @ ..] => said(
                &|task| list_of(&task["scope"]["categories"], ""),
                &listed(categories),
            ),
            ["waits", "for", rest @ ..] => self.any_waits(shown.into_iter(), rest),
            ["evidence", field, value] => {
                let found = shown.map_or(Value::Null, |task| task["evidence"][*field].clone());
                same(&plain(&found), value)
            }
            [state, rest @ ..] if TaskStateName::parse(state).is_some() => self.state_is(shown, state, rest),
            _ => return None,
        })
    }

    /// `parked backup_rotation until 2026-04-07 gen2`, `done erased`, `exempt no_identity`: of what is not said anything
    /// may be, but the state always is.
    fn state_is(&self, shown: Option<&Value>, state: &str, rest: &[&str]) -> Found {
        let task = shown.ok_or("it is not in the plan")?;
        let reason = if state == "done" { "outcome" } else { "why" };
        let mut so = task["state"] == state;
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            so &= match word.strip_prefix("gen") {
                Some(generation) => plain(&task["generation"]) == generation,
                None if *word == "until" => rest
                    .next()
                    .is_some_and(|at| self.same_time(&task["until"], at).is_ok()),
                None => task[reason] == **word,
            };
        }
        ensure(so, || {
            format!("it is {} gen{}", said_state(task), task["generation"])
        })
    }
}

fn in_order(task: &Value) -> String {
    let kinds = super::items(&task["identities"]).iter();
    kinds
        .map(|identity| plain(&identity["type"]))
        .collect::<Vec<_>>()
        .join(",")
}
