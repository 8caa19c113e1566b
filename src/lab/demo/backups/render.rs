//! Renders what happened, line by line, from the ledger.

use std::collections::BTreeMap;

use super::people::{PEOPLE, Person};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::RequestId,
        task::TaskEvent,
        time::At,
        words::Proof,
    },
    engine::EngineError,
    lab::demo::DemoError,
    store::Store,
    terminal::{Failure, output::say},
    view::sentences::entries::render_live,
};

/// Renders what the ledger has had since the last time.
#[derive(Debug, Default)]
pub(super) struct Renderer {
    /// What is about to be shown: the day, the words, and whether they are worth a line of their own.
    headline: Option<(String, String, bool)>,
    /// How many leaves of each request have been shown.
    known: BTreeMap<RequestId, u32>,
    /// The processors of each plan, by place.
    plans: BTreeMap<RequestId, Vec<String>>,
}

impl Renderer {
    /// Says what happens now. Without `always` it is said only where something comes of it.
    pub(super) fn headline(&mut self, now: At, text: &str, always: bool) -> Result<(), Failure> {
        self.say_headline(false)?;
        self.headline = Some((day(now), text.to_owned(), always));
        Ok(())
    }

    fn say_headline(&mut self, something_came_of_it: bool) -> Result<(), Failure> {
        if let Some((day, text, always)) = self.headline.take()
            && (always || something_came_of_it)
        {
            say(format_args!("{day}  {text}"))?;
        }
        Ok(())
    }

    /// Shows what is new. The answer: which copies are proved to have grown old.
    pub(super) async fn render(&mut self, store: &dyn Store) -> Result<Vec<(Person, String)>, DemoError> {
        let mut proved = Vec::new();
        for person in PEOPLE {
            let leaves = news(store, person, &mut self.known).await?;
            let entries: Vec<(At, Entry)> = leaves
                .into_iter()
                .flat_map(|leaf| leaf.entries.into_iter().map(move |entry| (leaf.at, entry)))
                .collect();
            if entries.is_empty() {
                continue;
            }
            self.say_headline(true)?;
            let plan = self.plans.entry(person.request()).or_default();
            let mut lines: Vec<(String, Vec<String>)> = Vec::new();
            for (at, entry) in &entries {
                learn_plan(plan, entry);
                if let Some(processor) = proved_by_age(plan, entry) {
                    proved.push((person, processor.to_owned()));
                }
                if let Some(line) = render_live(entry, plan, *at) {
                    gather(&mut lines, plan, &line);
                }
            }
            for (text, who) in &lines {
                let who = who.join(", ");
                let separator = if who.is_empty() { "" } else { ": " };
                say(format_args!(
                    "            {:<5} {who}{separator}{}",
                    person.name,
                    dated(text)
                ))?;
            }
        }
        // Nothing came of it.
        self.say_headline(false)?;
        Ok(proved)
    }
}

/// The leaves of a person's request that have not been shown.
async fn news(
    store: &dyn Store,
    person: Person,
    known: &mut BTreeMap<RequestId, u32>,
) -> Result<Vec<Leaf>, DemoError> {
    let known = known.entry(person.request()).or_default();
    let mut news = Vec::new();
    for stored in store.leaves(person.request()).await? {
        if stored.n >= *known {
            *known = stored.n + 1;
            news.push(Leaf::from_bytes(&stored.leaf).map_err(EngineError::from)?);
        }
    }
    Ok(news)
}

/// A plan grows by a task where a wave is split.
pub(super) fn learn_plan(plan: &mut Vec<String>, entry: &Entry) {
    match entry {
        Entry::Opened { processors, .. } => plan.extend(processors.iter().map(ToString::to_string)),
        Entry::WaveAdded { processor, .. } => plan.push(processor.to_string()),
        _ => {}
    }
}

fn proved_by_age<'a>(plan: &'a [String], entry: &Entry) -> Option<&'a str> {
    match entry {
        Entry::Task {
            ordinal,
            event: TaskEvent::Settled { proof, .. },
            ..
        } if *proof == Proof::Expired => plan.get(usize::from(*ordinal)).map(String::as_str),
        _ => None,
    }
}

/// One line for all processors of which the same is told.
fn gather(lines: &mut Vec<(String, Vec<String>)>, plan: &[String], line: &str) {
    let (who, text) = match line.split_once(": ") {
        Some((who, text)) if plan.iter().any(|processor| processor == who) => (Some(who), text),
        _ => (None, line),
    };
    // What comes before a message or a proof, which has a line of its own.
    if text == "may go" || text.starts_with("brought evidence") {
        return;
    }
    let place = lines.iter().position(|(known, _)| known == text);
    let place = place.unwrap_or_else(|| {
        lines.push((text.to_owned(), Vec::new()));
        lines.len() - 1
    });
    if let (Some(who), Some((_, all))) = (who, lines.get_mut(place))
        && !all.iter().any(|known| known == who)
    {
        all.push(who.to_owned());
    }
}

/// The day of a time.
pub(super) fn day(at: At) -> String {
    at.to_string().chars().take(10).collect()
}

/// A text in which every time is its day: the story is one of years.
fn dated(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let end = word.trim_end_matches([',', ')', ':']);
        match At::parse(end) {
            Ok(at) => format!("{}{}", day(at), &word[end.len()..]),
            Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shortened_to_days() {
        let text = "kept until 2029-12-10T00:00:00Z (tax_law, counted from x, 2024-12-10T00:00:00.5Z)";
        assert_eq!(
            dated(text),
            "kept until 2029-12-10 (tax_law, counted from x, 2024-12-10)"
        );
    }
}
