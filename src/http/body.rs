//! The body of a call, up to the size that is read.

use std::{future::poll_fn, pin::Pin};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::StatusCode,
};
use zeroize::Zeroizing;

use super::problem::Problem;
use crate::wire::validate::MAX_BYTES;

/// What is read and thrown away of a body that is too large. A caller who is still sending does not listen yet, and
/// would see a broken connection in place of the answer.
pub(super) const MAX_DRAINED: usize = 16 * MAX_BYTES;

/// The bytes of a body. They may hold identifiers, so they are wiped.
pub(super) struct Payload(pub(super) Zeroizing<Vec<u8>>);

impl<S: Sync> FromRequest<S> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let mut body = request.into_body();
        let mut read = Zeroizing::new(Vec::with_capacity(expected(&body)));
        let mut seen = 0;
        while let Some(data) = next(&mut body).await? {
            seen += data.len();
            if seen <= MAX_BYTES {
                read.extend_from_slice(&data);
            } else if seen > MAX_DRAINED {
                break;
            }
        }
        if seen <= MAX_BYTES {
            Ok(Self(read))
        } else {
            Err(too_large())
        }
    }
}

/// Room for what is announced, so that no growing buffer leaves a copy behind; what announces nothing gets a page.
fn expected(body: &Body) -> usize {
    const PAGE: usize = 4096;
    body.size_hint()
        .exact()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(PAGE)
        .min(MAX_BYTES)
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            // What is no data is a trailer.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "broken_body",
                    "the body broke off",
                ));
            }
        }
    }
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        "expected a body of at most 1048576 bytes",
    )
}
