//! Serving connections: whoever connects and does not say in time what it wants is let go.
//!
//! The header's own limit begins when the server knows which version of HTTP is spoken, so the first bytes that tell
//! have one too. Without both, connections that were begun and never used would stay for ever.

use std::{
    io::{self, ErrorKind, IoSlice},
    net::{SocketAddr, TcpListener},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, Server, accept::Accept, tls_rustls::RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// How long the header of a request may take, and how long a connection of HTTP/1 may idle between two.
pub const HEADER_PATIENCE: Duration = Duration::from_secs(30);

/// What a connection of HTTP/2 begins with. Whatever differs from it is HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Takes an address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until the handle says otherwise. A header that is not complete within `patience` ends its connection.
pub async fn serve(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    app: Router,
    handle: Handle<SocketAddr>,
    patience: Duration,
) -> io::Result<()> {
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle);
            limited(server, patience).serve(service).await
        }
        None => {
            let server = axum_server::from_tcp(listener)?.handle(handle);
            limited(server, patience).serve(service).await
        }
    }
}

fn limited<A>(mut server: Server<SocketAddr, A>, patience: Duration) -> Server<SocketAddr, Limited<A>> {
    let builder = server.http_builder();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience);
    // A connection of HTTP/2 may idle for as long as its peer answers pings.
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience / 2)
        .keep_alive_timeout(patience / 2);
    server.map(|acceptor| Limited { acceptor, patience })
}

/// Accepts connections whose beginning has a time limit.
#[derive(Debug, Clone)]
struct Limited<A> {
    acceptor: A,
    patience: Duration,
}

impl<I, S, A> Accept<I, S> for Limited<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Opening<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepting, patience) = (self.acceptor.accept(stream, service), self.patience);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let unknown = Some(Unknown {
                preface: PREFACE,
                // A peer that is silent is waited for; this is no timer of the domain.
                until: Box::pin(tokio::time::sleep(patience)),
            });
            Ok((Opening { stream, unknown }, service))
        })
    }
}

/// A connection of which it may not be known yet what is spoken on it.
struct Opening<S> {
    stream: S,
    unknown: Option<Unknown>,
}

/// The time in which it has to become known.
struct Unknown {
    /// What HTTP/2 would go on with.
    preface: &'static [u8],
    until: Pin<Box<Sleep>>,
}

impl Unknown {
    /// What is unknown still after these bytes.
    fn after(mut self, read: &[u8]) -> Option<Self> {
        self.preface = self.preface.strip_prefix(read)?;
        // The end of the stream is an answer too.
        (!read.is_empty() && !self.preface.is_empty()).then_some(self)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &mut self.unknown {
            None => read,
            Some(unknown) if read.is_pending() => {
                let late = unknown.until.as_mut().poll(cx);
                late.map(|()| Err(ErrorKind::TimedOut.into()))
            }
            Some(_) => {
                self.unknown = self
                    .unknown
                    .take()
                    .and_then(|unknown| unknown.after(&buf.filled()[before..]));
                read
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
