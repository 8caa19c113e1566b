//! What the calls of OpenDSR are called, and what is told of them.

use super::{
    super::{
        auth::{By, Submitter},
        calls::{Call, Calls, Input, Needs},
        query::Id,
    },
    Controller, SubjectRequestId, Version, cancel, certificate, discovery, status, submit,
};
use crate::{
    domain::ids::RequestId,
    wire::{
        opendsr::{Cancelled, Created, Discovery, StatusAnswer},
        schemas::bodies,
    },
};

/// The calls, under the names of both versions. The specification asks for `/status` and never says what it is: it is what
/// `/requests/{id}` is.
pub(in super::super) fn calls() -> Calls {
    let mut calls = Calls::new()
        .get("/opendsr/v2/status/{id}", status, asked)
        .post("/opendsr/v2/requests", submit, submitted)
        .get("/opendsr/v2/requests/{id}", status, asked)
        .delete("/opendsr/v2/requests/{id}", cancel, cancelled);
    for path in ["/opendsr/v2/discovery", "/opendsr/v1/discovery"] {
        calls = calls.get(path, discovery, |call| {
            call.says("What this processor of OpenDSR supports")
                .answers::<Discovery>(200, "What it supports.")
                .of_opendsr()
        });
    }
    for path in ["/opendsr/v2/certificate", "/opendsr/v1/certificate"] {
        calls = calls.get(path, certificate, |call| {
            call.says("The certificate that our signatures are verified with")
                .answers_in(200, "application/x-pem-file", "The certificate, in PEM.")
                .problem(404, "not_found", "This processor has none.")
                .of_opendsr()
        });
    }
    for path in ["/opendsr/v2/opengdpr_requests", "/opendsr/v1/opengdpr_requests"] {
        calls = calls.post(path, submit, submitted);
    }
    for path in [
        "/opendsr/v2/opengdpr_requests/{id}",
        "/opendsr/v1/opengdpr_requests/{id}",
    ] {
        calls = calls.get(path, status, asked).delete(path, cancel, cancelled);
    }
    calls
}

fn submitted(call: Call) -> Call {
    call.says("Takes in a request of OpenDSR")
        .body::<bodies::OpenDsrBody>()
        .answers::<Created<'_>>(201, "It was taken in, now or before.")
        .problem(400, "schema", "It cannot be taken; `errors` says why.")
        .of_opendsr()
}

fn asked(call: Call) -> Call {
    call.says("Where a request of OpenDSR stands; a controller sees its own")
        .answers::<StatusAnswer<'_>>(200, "Where it stands.")
        .of_opendsr()
}

fn cancelled(call: Call) -> Call {
    call.says("Cancels a request of OpenDSR that is pending")
        .answers::<Cancelled<'_>>(202, "It is cancelled, now or before.")
        .problem(
            400,
            "not_pending",
            "Something was sent, or it has come to its end.",
        )
        .of_opendsr()
}

impl Input for Version {
    fn tell(_: &mut Needs) {}
}

impl Input for Controller {
    fn tell(needs: &mut Needs) {
        By::<Submitter>::tell(needs);
    }
}

impl Input for SubjectRequestId {
    fn tell(needs: &mut Needs) {
        Id::<RequestId>::tell(needs);
    }
}
