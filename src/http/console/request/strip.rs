//! A strip for each system: asked, answered, proved, with its times, its evidence, and what it waits for.

use maud::{Markup, html};

use super::{
    super::{
        super::auth::Operator,
        parts::{
            badge,
            text::{text, without_calls},
        },
        visitor::Visitor,
    },
    Shown, forms,
};
use crate::{
    domain::words::TaskStateName,
    view::{
        course::{Course, Mark, Step},
        task::{EvidenceView, ProvedTask, TaskView},
    },
};

/// All of them, in the order of the plan.
pub(super) fn all<R>(visitor: &Visitor<R>, shown: &Shown<'_>, courses: &[Course]) -> Markup {
    let tasks = &shown.detail.task_list;
    html! {
        @if tasks.is_empty() {
            p { "It has no tasks of its own: another request stands for it." }
        } @else {
            ul.strip {
                @for ((task, course), ordinal) in tasks.iter().zip(courses).zip(0_u16..) {
                    (one(visitor, shown, task, course, ordinal))
                }
            }
        }
    }
}

fn one<R>(
    visitor: &Visitor<R>,
    shown: &Shown<'_>,
    proved: &ProvedTask<'_>,
    course: &Course,
    ordinal: u16,
) -> Markup {
    let task = &proved.task;
    let waits = shown
        .explained
        .to_finish_sooner
        .iter()
        .find(|need| need.task_id == task.task_id);
    html! {
        li data-row id={ "task-" (task.task_id) } {
            h3.name {
                a href={ "/processors/" (task.processor) } { (task.processor) }
                @if !task.part.is_empty() {
                    " " span.soft { @for (n, part) in task.part.iter().enumerate() { @if n > 0 { ", " } (part) } }
                }
                " " (badge::task_state(task.state))
                " " span.soft {
                    (badge::words(task.action.as_str()))
                    @if task.generation > 1 { ", done again (generation " (task.generation) ")" }
                    @if task.attempt > 1 { ", attempt " (task.attempt) }
                }
            }
            ol.steps {
                (step("Asked", &course.asked, shown))
                (step("Answered", &course.answered, shown))
                (step("Proved", &course.proved, shown))
            }
            @if let Some(need) = waits {
                p { "What finishes it: " (text(shown.times, &without_calls(&need.says))) "." }
            }
            @if is_manual(shown, task) {
                p { a href={ "/manual/" (task.task_id) } { "Done by hand: claim it, or see who has it" } }
            }
            @if let Some(evidence) = &proved.evidence { (evidence_of(evidence, shown)) }
            @if visitor.may::<Operator>() { (forms::of_task(visitor, shown, ordinal)) }
        }
    }
}

/// Whether a person does it, and can now.
fn is_manual(shown: &Shown<'_>, task: &TaskView<'_>) -> bool {
    let registered = shown.context.registry.get(task.processor);
    matches!(task.state, TaskStateName::Ready | TaskStateName::Accepted)
        && shown.request().shown_gate().is_none()
        && registered.is_some_and(|processor| processor.manual().is_some())
}

fn step(name: &str, step: &Step, shown: &Shown<'_>) -> Markup {
    // The class is for the eye; the words say the same.
    let (class, said) = match step.mark {
        Mark::Done => ("done", ""),
        Mark::Now => ("now", "waiting: "),
        Mark::Failed => ("failed", ""),
        Mark::Ahead => ("ahead", ""),
    };
    html! {
        li class=(class) {
            b { (name) }
            (said) (step.says)
            @if let Some(at) = step.at { " · " (shown.times.when(at)) }
        }
    }
}

fn evidence_of(evidence: &EvidenceView, shown: &Shown<'_>) -> Markup {
    let mut said: Vec<Markup> = Vec::new();
    if let Some(method) = &evidence.method {
        said.push(html! { "method " (badge::words(method)) });
    }
    if let Some(records) = evidence.records {
        said.push(html! { (records) " records" });
    }
    for (category, n) in &evidence.by_category {
        said.push(html! { (category) " " (n) });
    }
    if let Some(reference) = &evidence.reference {
        said.push(html! { "reference " code { (reference) } });
    }
    if let Some(digest) = &evidence.digest {
        said.push(html! { "digest " code { (digest) } });
    }
    if let Some(at) = evidence.at {
        said.push(html! { "by its own clock at " (shown.times.when(at)) });
    }
    html! {
        @if !said.is_empty() {
            p { "Evidence: " @for (n, part) in said.iter().enumerate() { @if n > 0 { "; " } (part) } }
        }
        @if let Some(message) = &evidence.message {
            p { "It says: " q { (message) } }
        }
    }
}
