//! What can be done about a request: only what its state allows and the visitor may, each with what it will do.

use maud::{Markup, html};

use super::{
    super::{
        super::auth::Compliance,
        parts::{
            badge,
            form::{Action, Reason, action_form, choice_field, text_field},
        },
        visitor::Visitor,
    },
    Shown,
};
use crate::{
    domain::{
        command::Decision,
        ids::{Label, ProcessorId},
        request::{Check, operate::DecisionError},
        words::{ExtensionReason, HoldBasis, RefusalBasis, VerificationResult},
    },
    view::{
        dates::day,
        preview::{Preview, Under, Wish},
        sentences::outlook::name,
    },
};

/// What is written as the method of a verification in a dry run: any will do.
const SOME_METHOD: &str = "document";

/// What can be done about the request as a whole.
pub(super) fn all<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Markup {
    if !visitor.may::<Compliance>() {
        return html! {};
    }
    let forms = [
        verify(visitor, shown),
        approve(visitor, shown),
        refuse(visitor, shown),
        refuse_processor(visitor, shown),
        extend(visitor, shown),
        cancel(visitor, shown),
        hold(visitor, shown),
        release(visitor, shown),
    ];
    let forms: Vec<Markup> = forms.into_iter().flatten().collect();
    html! {
        @if !forms.is_empty() {
            h2 #actions { "What you can do" }
            div.actions { @for form in &forms { (form) } }
        }
    }
}

/// What would come of a decision.
fn try_out<R>(visitor: &Visitor<R>, shown: &Shown<'_>, wish: Wish<'_>) -> Result<Preview, DecisionError> {
    let under = Under {
        actor: &visitor.caller.name,
        submitter: shown.submitter,
        rules: shown.api.engine.rulebook(&shown.request().head.tenant),
    };
    Preview::of(shown.request(), wish, under, shown.context)
}

fn said(shown: &Shown<'_>, preview: &Preview) -> Markup {
    let says = preview.says(|at| day(at, shown.times.now, &shown.times.zone));
    html! {
        @if says.is_empty() {
            p { "It is written down; nothing else changes now." }
        } @else {
            ul { @for sentence in &says { li { (sentence) } } }
        }
    }
}

fn path(shown: &Shown<'_>, what: &str) -> String {
    format!("/requests/{}/{what}", shown.request().id)
}

fn verify<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    if shown.request().life.verification != Check::Awaiting {
        return None;
    }
    let method = Label::new(SOME_METHOD).ok()?;
    let decision = |result| Decision::VerifyIdentity {
        method: method.clone(),
        result,
    };
    let passed = try_out(
        visitor,
        shown,
        Wish::Decide(&decision(VerificationResult::Passed)),
    )
    .ok()?;
    let failed = try_out(
        visitor,
        shown,
        Wish::Decide(&decision(VerificationResult::Failed)),
    )
    .ok()?;
    let path = path(shown, "verify-identity");
    let choices = [
        ("passed", "It is this person".to_owned()),
        ("failed", "It is not, or cannot be shown".to_owned()),
    ];
    let preview = html! {
        p { "If it is this person:" } (said(shown, &passed))
        p { "If not:" } (said(shown, &failed))
    };
    let mut action = Action::new("verify-identity", &path, "Say who it is", preview);
    action.fields = html! {
        (choice_field("verify-identity", "result", "What came of it", &choices, ""))
        (text_field("verify-identity", "method", "How it was verified, in one word (document, login, call)", true))
    };
    action.reason = Reason::None;
    Some(action_form(visitor, shown.times, &action, ""))
}

fn approve<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    if shown.request().life.approval != Check::Awaiting {
        return None;
    }
    let path = path(shown, "approve");
    match try_out(visitor, shown, Wish::Decide(&Decision::Approve)) {
        Ok(preview) => {
            let mut action = Action::new("approve", &path, "Approve", said(shown, &preview));
            action.reason = Reason::Welcome;
            Some(action_form(visitor, shown.times, &action, ""))
        }
        Err(DecisionError::Submitter) => Some(html! {
            div.action {
                h3 { "Approve" }
                p.preview { "You have submitted it yourself: another person has to approve it." }
            }
        }),
        Err(_) => None,
    }
}

fn bases() -> Vec<(&'static str, String)> {
    let all = RefusalBasis::ALL.iter();
    all.map(|basis| (basis.as_str(), badge::words(basis.as_str())))
        .collect()
}

fn refuse<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    let decision = Decision::Refuse {
        basis: RefusalBasis::LegalObligation,
        processor: None,
    };
    let preview = try_out(visitor, shown, Wish::Decide(&decision)).ok()?;
    let path = path(shown, "refuse");
    let mut action = Action::new("refuse", &path, "Refuse the request", said(shown, &preview));
    action.fields = choice_field("refuse", "basis", "On which ground", &bases(), "");
    action.is_final = true;
    Some(action_form(visitor, shown.times, &action, ""))
}

fn refuse_processor<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    let request = shown.request();
    let mut processors: Vec<&ProcessorId> = request.processors().collect();
    processors.sort_unstable();
    processors.dedup();
    let can_be_refused = |processor: &&ProcessorId| {
        let decision = Decision::Refuse {
            basis: RefusalBasis::LegalObligation,
            processor: Some((*processor).clone()),
        };
        try_out(visitor, shown, Wish::Decide(&decision)).is_ok()
    };
    let choices: Vec<(&str, String)> = processors
        .into_iter()
        .filter(can_be_refused)
        .map(|processor| (processor.as_str(), processor.to_string()))
        .collect();
    // With one system in its plan it is the same as refusing the request.
    if choices.is_empty() || request.tasks.len() < 2 {
        return None;
    }
    let path = path(shown, "refuse");
    let preview = html! {
        p { "Only the system that you choose is not asked: its part is exempt, and the request closes with this exception." }
    };
    let mut action = Action::new("refuse", &path, "Refuse for one system", preview);
    action.fields = html! {
        (choice_field("refuse-one", "processor", "Which system", &choices, ""))
        (choice_field("refuse-one", "basis", "On which ground", &bases(), ""))
    };
    action.is_final = true;
    Some(action_form(visitor, shown.times, &action, "one"))
}

fn extend<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    let decision = Decision::Extend {
        reason: ExtensionReason::Complexity,
    };
    let preview = try_out(visitor, shown, Wish::Decide(&decision)).ok()?;
    let choices = [
        ("complexity", "it is complex".to_owned()),
        ("number_of_requests", "there are many requests".to_owned()),
    ];
    let path = path(shown, "extend");
    let preview = html! {
        (said(shown, &preview))
        p { "It can be done once, and the person has to be told, with the reason, before the first period ends." }
    };
    let mut action = Action::new("extend", &path, "Extend the deadline", preview);
    action.fields = choice_field("extend", "reason", "Why", &choices, "");
    action.reason = Reason::None;
    Some(action_form(visitor, shown.times, &action, ""))
}

fn cancel<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    let preview = try_out(visitor, shown, Wish::Cancel).ok()?;
    let path = path(shown, "cancel");
    let mut action = Action::new("cancel", &path, "Withdraw the request", said(shown, &preview));
    action.is_final = true;
    Some(action_form(visitor, shown.times, &action, ""))
}

fn hold<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    let request = shown.request();
    if request.life.status.is_final() || request.tasks.is_empty() {
        return None;
    }
    let (mut kept, mut out) = (Vec::new(), Vec::new());
    for ordinal in request.ordinals() {
        use crate::domain::words::TaskStateName as S;
        match request.task(ordinal).state.name() {
            S::Blocked | S::Parked | S::Ready | S::Verifying | S::Abandoned => {
                kept.push(name(request, ordinal))
            }
            S::Leased | S::Dispatched | S::Accepted => out.push(name(request, ordinal)),
            S::Held | S::Done | S::Exempt | S::Waived | S::Cancelled => {}
        }
    }
    if kept.is_empty() && out.is_empty() {
        return None;
    }
    let preview = html! {
        ul {
            @if kept.is_empty() {
                li { "Nothing is left to hold back now; what has to be done again later would be." }
            } @else {
                li { "Not asked until it is released: " (kept.join(", ")) "." }
            }
            @if !out.is_empty() {
                li { "Sent already, and cannot be held back: " (out.join(", ")) "." }
            }
            li { "The deadline goes on." }
        }
    };
    let all = HoldBasis::ALL.iter();
    let choices: Vec<(&str, String)> = all
        .map(|basis| (basis.as_str(), badge::words(basis.as_str())))
        .collect();
    let path = path(shown, "hold");
    let mut action = Action::new("hold", &path, "Put a legal hold on it", preview);
    action.fields = choice_field("hold", "basis", "On which ground", &choices, "");
    Some(action_form(visitor, shown.times, &action, ""))
}

/// Of the holds that name this very request, the first: the others are released on their own pages.
fn release<R>(visitor: &Visitor<R>, shown: &Shown<'_>) -> Option<Markup> {
    let request = shown.request();
    let facts = shown.context.facts;
    let holds = facts.holds().on_request(request, shown.context.registry);
    let own = holds
        .into_iter()
        .find(|hold| hold.request_id == Some(request.id))?;
    let others = shown.detail.holds.len().saturating_sub(1);
    let preview = html! {
        p {
            "What hold " code { (own.hold_id) } " (" (badge::words(own.basis.as_str())) ") kept back is asked at once"
            @if others > 0 { ", as far as the " (others) " other holds on it allow" }
            "."
        }
    };
    let path = path(shown, "release");
    let mut action = Action::new("release", &path, "Release the hold", preview);
    action.fields = html! { input type="hidden" name="hold_id" value=(own.hold_id); };
    Some(action_form(visitor, shown.times, &action, ""))
}

/// What an operator can do about a task.
pub(super) fn of_task<R>(visitor: &Visitor<R>, shown: &Shown<'_>, ordinal: u16) -> Markup {
    let request = shown.request();
    let task_id = request.task_id(ordinal);
    let mark = task_id.to_string();
    let name = name(request, ordinal);
    let hidden = html! { input type="hidden" name="task" value=(task_id); };
    let retry = try_out(visitor, shown, Wish::Retry(ordinal)).ok().map(|preview| {
        let path = path(shown, "retry");
        let title = format!("Have {name} asked again");
        let mut action = Action::new("retry", &path, &title, said(shown, &preview));
        action.button = "Retry";
        action.fields = hidden.clone();
        action.reason = Reason::Welcome;
        action_form(visitor, shown.times, &action, &mark)
    });
    let waive = try_out(visitor, shown, Wish::Waive(ordinal)).ok().map(|preview| {
        let path = path(shown, "waive");
        let title = format!("Do without {name}");
        let preview = html! {
            (said(shown, &preview))
            p { "The data may still be there: the certificate lists it as an exception, with your reason." }
        };
        let mut action = Action::new("waive", &path, &title, preview);
        action.button = "Waive";
        action.fields = hidden.clone();
        action.is_final = true;
        action_form(visitor, shown.times, &action, &mark)
    });
    let forms: Vec<Markup> = [retry, waive].into_iter().flatten().collect();
    let wants_somebody = request.needs_somebody(ordinal, shown.context);
    html! {
        @if !forms.is_empty() {
            // What nobody has to decide is one click further away.
            details open[wants_somebody] {
                summary { "What you can do about " (name) }
                div.actions { @for form in &forms { (form) } }
            }
        }
    }
}
