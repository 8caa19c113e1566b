//! What an upstream says in its own words: `event SOURCE WHO as=NAME HEADER=VALUE {…}`.
//!
//! `{id}` stands for the id of the request, `{now}` for the time, and `{email}`, `{user_id}` and so on for what identifies
//! the person.

use super::{Outgoing, Writer, id_of, words};
use crate::{domain::time::At, lab::scenario::upstream::UpstreamEvent};

impl Writer<'_> {
    /// Where it opens a request, that has the name of the person, or the one that it is given.
    pub(super) fn event(&mut self, source: &str, who: &str, text: &str, now: At) -> Result<Outgoing, String> {
        let person = self.script.person(who).ok_or_else(|| format!("who is {who}?"))?;
        let at = text.find(" {").ok_or("expected what it says, as JSON")?;
        let (head, body) = text.split_at(at);
        let mut rules = words::attributes(head.split_whitespace().skip(3));
        let name = rules.remove("as").unwrap_or_else(|| who.to_owned());
        let mut known = person.identities_of(who);
        known.insert("id".to_owned(), id_of(&name).to_string());
        known.insert("now".to_owned(), now.to_string());
        let filled = |text: &str| {
            known.iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            })
        };
        let event = UpstreamEvent {
            source: source.to_owned(),
            headers: rules
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), filled(value)))
                .collect(),
            body: filled(body.trim()),
        };
        if !self.opened.contains(&name) {
            self.opened.push(name);
        }
        Ok(Outgoing::Event(event))
    }
}
