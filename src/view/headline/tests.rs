//! One sentence for every way in which a request can stand.

use jiff::tz::TimeZone;

use super::headline;
use crate::{
    domain::{
        ids::Label,
        request::Request,
        task::{Deferral, Queued, Share, TaskState},
        words::{AbandonCause, Action, Proof, RefusalBasis, Status},
    },
    view::fixture::{at, done, now, request, task},
};

#[track_caller]
fn says(request: &Request, sentence: &str) {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    assert_eq!(headline(request, now(), &berlin), sentence);
}

fn clean(mut request: Request) -> Request {
    request.life.live_clean_at = Some(now());
    request
}

fn closed(mut request: Request) -> Request {
    request.life.completed_at = Some(now());
    clean(request)
}

#[test]
fn gates_say_who_has_to_open_them() {
    let waiting = request(Status::AwaitingVerification, Vec::new());
    says(
        &waiting,
        "Nothing has been sent yet: the person's identity has to be verified first; 31 days left until the deadline.",
    );
    let waiting = request(Status::AwaitingApproval, Vec::new());
    says(
        &waiting,
        "Nothing has been sent yet: a second person has to approve it first; 31 days left until the deadline.",
    );
    let mut waiting = request(Status::Scheduled, Vec::new());
    waiting.head.not_before = Some(at("2026-11-28T00:00:00Z"));
    says(
        &waiting,
        "Nothing is sent before 28 Nov, as the command asked; 31 days left until the deadline.",
    );
    waiting.head.grace = true;
    says(
        &waiting,
        "Nothing is sent before 28 Nov: until then it can be withdrawn; 31 days left until the deadline.",
    );
}

#[test]
fn the_last_copy_says_when_it_rotates() {
    let until = at("2026-12-26T09:00:00Z");
    let why = Deferral::Rotation;
    let mut copies = task("nightly-backup", TaskState::Parked { why, until });
    copies.share = Share::Wave {
        sources: vec![0],
        key: false,
    };
    let deferred = clean(request(
        Status::Deferred,
        vec![done("crm", Proof::Erased), copies],
    ));
    says(
        &deferred,
        "Erased everywhere but nightly-backup; that copy rotates on 26 Dec; 31 days ahead of the deadline.",
    );
}

#[test]
fn what_is_kept_says_until_when_and_why() {
    let until = at("2031-11-20T00:00:00Z");
    let why = Deferral::Retention;
    let mut invoices = task("billing", TaskState::Parked { why, until });
    invoices.categories = vec![Label::new("invoices").unwrap()];
    invoices.share = Share::Kept {
        basis: Label::new("tax_law").unwrap(),
        anchor: now(),
    };
    let rest = done("billing", Proof::Erased);
    let deferred = clean(request(Status::Deferred, vec![rest.clone(), invoices.clone()]));
    says(
        &deferred,
        "Erased everywhere but billing (invoices); it has to be kept until 20 Nov 2031 (tax law); 31 days ahead of the deadline.",
    );
    let look = task(
        "ads",
        TaskState::Verifying {
            until: at("2026-11-28T00:00:00Z"),
        },
    );
    let deferred = clean(request(Status::Deferred, vec![rest, invoices, look]));
    says(
        &deferred,
        "Erased everywhere but billing (invoices) and ads; the last of it is due on 20 Nov 2031; 31 days ahead of the deadline.",
    );
}

#[test]
fn work_that_goes_on_says_whom_it_waits_for() {
    let out = |name: &str| {
        task(
            name,
            TaskState::Dispatched {
                at: now(),
                ack_by: at("2026-11-22T10:00:00Z"),
            },
        )
    };
    says(
        &request(Status::InProgress, vec![done("crm", Proof::Erased), out("ads")]),
        "Erased everywhere but ads; its answer is due by 22 Nov; 31 days left until the deadline.",
    );
    says(
        &request(Status::InProgress, vec![out("crm")]),
        "Not done yet: crm is the only system; its answer is due by 22 Nov; 31 days left until the deadline.",
    );
    let many = ["a", "b", "c", "d", "e"].map(out).to_vec();
    says(
        &request(Status::InProgress, many),
        "None of 5 tasks has proved it yet; a, b, c and 2 more have not proved it yet; 31 days left until the deadline.",
    );
    let paused = task(
        "ads",
        TaskState::Queued {
            due: now(),
            why: Queued::Paused,
        },
    );
    let mut late = request(Status::InProgress, vec![done("crm", Proof::Erased), paused]);
    late.life.clock.due = at("2026-11-19T22:59:59Z");
    says(
        &late,
        "Erased everywhere but ads; somebody has paused this system; the deadline has passed (19 Nov, 2 days ago).",
    );
}

#[test]
fn what_was_given_up_says_that_it_needs_a_decision() {
    let given_up = |name: &str, cause| task(name, TaskState::Abandoned { cause });
    let one = given_up("ads", AbandonCause::AttemptsUsed);
    says(
        &request(Status::InProgress, vec![done("crm", Proof::Erased), one.clone()]),
        "Erased everywhere but ads; all its attempts have failed, and an operator has to retry or waive it; 31 days left until \
         the deadline.",
    );
    let other = given_up("sms", AbandonCause::Rejected);
    says(
        &request(Status::InProgress, vec![one, other, done("crm", Proof::Erased)]),
        "1 of 3 tasks proved; ads and sms were given up and need an operator's decision; 31 days left until the deadline.",
    );
}

#[test]
fn the_end_says_how_it_ended() {
    says(
        &closed(request(Status::Completed, vec![done("crm", Proof::Erased)])),
        "Erased everywhere on 21 Nov; 31 days ahead of the deadline.",
    );
    says(
        &closed(request(Status::Completed, vec![done("crm", Proof::NotFound)])),
        "Done on 21 Nov: no system had data of this person; 31 days ahead of the deadline.",
    );
    let mut stats = done("stats", Proof::Anonymized);
    stats.action = Action::Anonymize;
    let attested = done("vendor", Proof::Attested);
    says(
        &closed(request(Status::Completed, vec![stats, attested])),
        "Erased or anonymized everywhere on 21 Nov; 1 system only accepted it, and nobody has confirmed it since (attested); 31 days \
         ahead of the deadline.",
    );
    let mut late = closed(request(Status::Completed, vec![done("crm", Proof::Erased)]));
    late.life.clock.due = at("2026-11-19T22:59:59Z");
    says(&late, "Erased everywhere on 21 Nov; 2 days after the deadline.");
}

#[test]
fn exceptions_are_named() {
    let basis = Label::new("legal_claims").unwrap();
    let exempt = task("ads", TaskState::Exempt { basis });
    says(
        &closed(request(
            Status::ClosedWithExceptions,
            vec![done("crm", Proof::Erased), exempt.clone()],
        )),
        "Erased everywhere but ads (legal claims); closed on 21 Nov; 31 days ahead of the deadline.",
    );
    says(
        &closed(request(Status::ClosedWithExceptions, vec![exempt])),
        "Nothing was erased: exempt or waived at ads (legal claims); closed on 21 Nov; 31 days ahead of the deadline.",
    );
}

#[test]
fn what_was_not_carried_out_says_why() {
    let mut refused = closed(request(Status::Refused, Vec::new()));
    refused.life.refused = Some(RefusalBasis::IdentityNotVerified);
    says(&refused, "Refused on 21 Nov: identity not verified.");
    says(
        &closed(request(Status::Cancelled, Vec::new())),
        "Withdrawn on 21 Nov before anything was sent.",
    );
    says(
        &request(Status::Merged, Vec::new()),
        "Merged into another request, which stands for both and goes on.",
    );
    let mut broken = request(Status::InProgress, Vec::new());
    broken.life.set_aside_at = Some(now());
    says(
        &broken,
        "Lacuna itself fails at this request, so nothing is decided about it: report it to whoever maintains Lacuna.",
    );
}
