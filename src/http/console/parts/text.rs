//! Sentences of the views, for a page: the times in them in the policy's zone, and without the calls of the API that a terminal
//! is told, because on a page there is a button.

use maud::{Markup, PreEscaped, Render as _, html};

use super::times::Times;
use crate::domain::{
    time::At,
    words::{AbandonCause, Status},
};

/// The shortest time in a sentence: `2026-11-21T10:00:00Z`.
const SHORTEST: usize = 20;

/// A sentence.
pub fn text(times: &Times, sentence: &str) -> Markup {
    let mut shown = String::new();
    let sentence = plain(sentence);
    let mut rest = &sentence[..];
    while let Some((before, at, after)) = next_time(rest) {
        html! { (before) (times.when(at)) }.render_to(&mut shown);
        rest = after;
    }
    rest.render_to(&mut shown);
    PreEscaped(shown)
}

/// With the words of states and causes as people write them; names of fields and of systems stay as they are.
fn plain(sentence: &str) -> String {
    let causes = AbandonCause::ALL.iter().map(|cause| cause.as_str());
    let states = Status::ALL.iter().map(|status| status.as_str());
    let mut said = sentence.replace(" -> ", " \u{2192} ");
    for word in causes.chain(states).filter(|word| word.contains('_')) {
        said = said.replace(word, &word.replace('_', " "));
    }
    said
}

/// What lies before the first time of a text, the time, and what comes after it.
fn next_time(text: &str) -> Option<(&str, At, &str)> {
    let starts = text.char_indices().filter(|(_, c)| c.is_ascii_digit());
    for (start, _) in starts {
        let candidate = &text[start..];
        let length = candidate.find('Z').map(|end| end + 1)?;
        // Of another digit of the same number the text before it cannot end in one.
        if !(SHORTEST..=SHORTEST + 10).contains(&length)
            || text[..start].ends_with(|c: char| c.is_ascii_digit())
        {
            continue;
        }
        if let Ok(at) = At::parse(&candidate[..length]) {
            return Some((&text[..start], at, &candidate[length..]));
        }
    }
    None
}

/// The same without the calls that it names: `…: POST /v1/tasks/7/retry or /waive`.
pub fn without_calls(sentence: &str) -> String {
    let mut said = sentence.to_owned();
    while let Some(start) = ["POST /v1", "DELETE /v1"].iter().find_map(|call| said.find(call)) {
        let end = said[start..].find(';').map_or(said.len(), |end| start + end);
        let kept = said[..start].trim_end_matches([' ', ':', ',']).len();
        said.replace_range(kept..end, "");
    }
    said
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn times_in_a_sentence_are_shown_in_the_zone() {
        let times = Times {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            now: At::from_millis(0),
        };
        let shown = text(
            &times,
            "crm <b> was asked at 2026-11-21T10:00:00Z (attempt 1); due 2026-11-22T10:00:00.5Z.",
        );
        let shown = shown.into_string();
        assert!(shown.starts_with("crm &lt;b&gt; was asked at <time"), "{shown}");
        assert!(
            shown.contains("21 Nov 2026, 11:00</time> (attempt 1); due <time"),
            "{shown}"
        );
        assert!(shown.ends_with("</time>."), "{shown}");
        assert_eq!(text(&times, "3 of 6, Zoo").into_string(), "3 of 6, Zoo");
        assert_eq!(
            text(
                &times,
                "in_progress -> deferred (attempts_used), oldest_retained_at"
            )
            .into_string(),
            "in progress \u{2192} deferred (attempts used), oldest_retained_at"
        );
    }

    #[test]
    fn calls_of_the_api_are_left_out() {
        for (said, shown) in [
            (
                "it was given up (rejected): retry or waive it, POST /v1/tasks/7/retry or /waive",
                "it was given up (rejected): retry or waive it",
            ),
            (
                "the brake to be taken off: DELETE /v1/brake",
                "the brake to be taken off",
            ),
            ("its answer", "its answer"),
            (
                "approve it, POST /v1/requests/1/approve; after that it goes on",
                "approve it; after that it goes on",
            ),
        ] {
            assert_eq!(without_calls(said), shown);
        }
    }
}
