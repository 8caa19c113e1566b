//! What is left of a body is read and thrown away before the call is answered.
//!
//! Most refusals are known from the first line: a wrong token, a path that leads nowhere, a wrong role. A caller who is
//! still sending when they are answered sees its stream reset over HTTP/2, or its connection broken over HTTP/1, in place
//! of the answer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};

use super::body::MAX_DRAINED;

/// How long the rest of a body is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that is there still when its reader has gone.
#[derive(Clone)]
struct Shared(Arc<Mutex<Read>>);

struct Read {
    body: Body,
    /// How many bytes have come.
    seen: usize,
}

impl Read {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.seen += frame.data_ref().map_or(0, Bytes::len);
        }
        polled
    }
}

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut Read) -> T) -> T {
        // A reader that panicked has left the body as it was.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what is left, up to a bound.
    async fn drain(&self) {
        let rest = std::future::poll_fn(|context| {
            self.with(|read| {
                while read.seen <= MAX_DRAINED {
                    match read.poll(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(Ok(_))) => {}
                        Poll::Ready(None | Some(Err(_))) => break,
                    }
                }
                Poll::Ready(())
            })
        });
        // Whoever sends no further is answered all the same.
        if tokio::time::timeout(PATIENCE, rest).await.is_err() {
            tracing::debug!("the rest of a body did not come");
        }
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|read| read.poll(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|read| read.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|read| read.body.size_hint())
    }
}

/// Answers when the body has come.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    // Who asks first whether to send would send all of it for nothing.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(Read { body, seen: 0 })));
    let request = Request::from_parts(parts, Body::new(shared.clone()));
    let answer = next.run(request).await;
    shared.drain().await;
    answer
}
