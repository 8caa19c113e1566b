//! The table of `transitions.md`, made by the transition function itself.

use super::*;
use crate::domain::generated_table;

const HEAD: &str = "\
## Every state and every event

Made from the transition function by a test; an unlisted pair (–) is a typed error and changes nothing.

¹ only while it was never sent. ² `blocked` where it was never sent and comes after other tasks. ³ only the copies of a
backup set, or for them instead.

";

fn state_name(state: &TaskState) -> String {
    match state {
        TaskState::WithoutIdentity => "blocked (identity)".to_owned(),
        TaskState::Undeliverable { .. } => "ready (undeliverable)".to_owned(),
        TaskState::Queued { .. } => "ready (queued)".to_owned(),
        state => state.name().to_string(),
    }
}

fn event_name(event: &TaskEvent) -> String {
    let text = format!("{event:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

/// What an event makes of a task; `None`: it is refused.
fn next(before: &Task, event: &TaskEvent) -> Option<String> {
    let mut after = before.clone();
    after.apply(event).ok()?;
    Some(state_name(&after.state))
}

fn cell(state: &TaskState, event: &TaskEvent) -> String {
    let asked = matches!(
        state,
        TaskState::Dispatched { .. }
            | TaskState::Accepted { .. }
            | TaskState::Done { .. }
            | TaskState::Verifying { .. }
    );
    let example = Task {
        attempt: u32::from(asked),
        sent: asked.then_some(Sent {
            asked_at: At::default(),
        }),
        ..task(state.clone())
    };
    let sent = Task {
        attempt: 1,
        sent: Some(Sent {
            asked_at: At::default(),
        }),
        ..example.clone()
    };
    let after_others = Task {
        after: vec![0],
        ..example.clone()
    };
    let copies = Task {
        share: WAVE(),
        ..example.clone()
    };
    let (plain, of_copies) = (next(&example, event), next(&copies, event));
    let mut said = plain.clone().unwrap_or_default();
    if plain.is_some() && next(&sent, event).is_none() {
        said.push('¹');
    }
    if next(&after_others, event) != plain {
        assert_eq!(next(&after_others, event).as_deref(), Some("blocked"));
        said.push('²');
    }
    match of_copies {
        Some(other) if plain.as_ref() != Some(&other) => {
            let or = if said.is_empty() { "" } else { ", " };
            format!("{said}{or}{other}³")
        }
        _ if said.is_empty() => "–".to_owned(),
        _ => said,
    }
}

#[test]
fn the_documented_transitions_are_the_codes() {
    let states = every_state();
    let head: Vec<String> = std::iter::once(String::new())
        .chain(states.iter().map(state_name))
        .collect();
    let rows: Vec<Vec<String>> = every_event()
        .iter()
        .map(|event| {
            let cells = states.iter().map(|state| cell(state, event));
            std::iter::once(event_name(event)).chain(cells).collect()
        })
        .collect();
    generated_table::check(
        "task/transitions.md",
        &format!("{HEAD}{}", generated_table::table(&head, &rows)),
    );
}
