//! Connections: names are resolved, addresses judged and connected to in one step, so that nothing can change in between.
//!
//! A name is resolved once for each connection, every address of it is judged, and the connection goes to one of those and
//! nowhere else. Addresses that stand in the URL are judged too, in whatever form: what is no usual notation goes through
//! the system's resolver, which says what it means.

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Uri,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector, dns::Name, proxy::Tunnel},
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::address;

/// How long until there is a connection, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A future of a connection.
type Work<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no connection, where no library says it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    /// It leads inside, which is not allowed.
    #[error("{host} is {what}")]
    Inside {
        /// The host of the URL.
        host: String,
        /// What its address is.
        what: &'static str,
    },
    /// Nobody knows the name.
    #[error("{host} has no address")]
    Unresolved {
        /// The host of the URL.
        host: String,
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// It takes too long.
    #[error("no connection within {} s", .0.as_secs())]
    Late(Duration),
}

/// What may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Whether loopback, private and other addresses of the inside are allowed.
    pub allow_private: bool,
}

impl Guard {
    fn judge(self, host: &str, address: IpAddr) -> Result<(), NoConnection> {
        match address::inside(address) {
            Some(what) if !self.allow_private => Err(NoConnection::Inside {
                host: host.to_owned(),
                what,
            }),
            _ => Ok(()),
        }
    }

    /// Judges an address that stands in the URL itself.
    pub(super) fn judge_literal(self, uri: &Uri) -> Result<(), NoConnection> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(address) => self.judge(host, address),
            Err(_) => Ok(()),
        }
    }
}

/// Where names are looked up.
#[derive(Debug, Clone)]
enum Lookup {
    System,
    /// What each look-up finds, one after another.
    #[cfg(test)]
    Scripted(Arc<std::sync::Mutex<Vec<Vec<IpAddr>>>>),
}

impl Lookup {
    async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, 0)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(script) => {
                let next = script
                    .lock()
                    .unwrap()
                    .pop()
                    .expect("one more look-up was expected");
                Ok(next.into_iter().map(|address| (address, 0).into()).collect())
            }
        }
    }
}

/// Resolves names, and refuses those that lead inside.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    guard: Guard,
    lookup: Lookup,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoConnection;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoConnection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoConnection>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { guard, lookup } = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = lookup.addresses(host).await;
            let found = found.map_err(|source| NoConnection::Unresolved {
                host: host.to_owned(),
                source,
            })?;
            if found.is_empty() {
                return Err(NoConnection::Unresolved {
                    host: host.to_owned(),
                    source: io::ErrorKind::NotFound.into(),
                });
            }
            // One address of the inside among others is enough: which one is tried first is not for us to say.
            for address in &found {
                guard.judge(host, address.ip())?;
            }
            Ok(found.into_iter())
        })
    }
}

/// Makes the connections of one client.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    guard: Guard,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Direct(HttpsConnector<HttpConnector<Resolver>>),
    Proxied(Box<Proxied>),
}

#[derive(Debug, Clone)]
struct Proxied {
    /// For `https`: the proxy passes on what it cannot read.
    tunnel: HttpsConnector<Tunnel<HttpConnector<Resolver>>>,
    /// For `http`: the proxy is told the whole URL.
    forward: HttpConnector<Resolver>,
    proxy: Uri,
}

impl Connector {
    /// With a proxy the target is resolved by the proxy, so that only addresses which stand in the URL can be judged here;
    /// the proxy itself is the operator's, and may be anywhere.
    pub(super) fn new(guard: Guard, tls: ClientConfig, proxy: Option<Uri>) -> Self {
        Self::with_lookup(guard, tls, proxy, Lookup::System)
    }

    fn with_lookup(guard: Guard, mut tls: ClientConfig, proxy: Option<Uri>, lookup: Lookup) -> Self {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = Arc::new(tls);
        let way = match proxy {
            None => Way::Direct(HttpsConnector::from((tcp(Resolver { guard, lookup }), tls))),
            Some(proxy) => {
                let guard = Guard { allow_private: true };
                let forward = tcp(Resolver { guard, lookup });
                let tunnel = Tunnel::new(proxy.clone(), forward.clone());
                Way::Proxied(Box::new(Proxied {
                    tunnel: HttpsConnector::from((tunnel, tls)),
                    forward,
                    proxy,
                }))
            }
        };
        Self { guard, way }
    }

    async fn connect(mut self, uri: Uri) -> Result<Stream, BoxError> {
        self.guard.judge_literal(&uri)?;
        match &mut self.way {
            Way::Direct(connector) => Ok(Stream {
                inner: connector.call(uri).await?,
                is_forwarded: false,
            }),
            Way::Proxied(proxied) if uri.scheme_str() == Some("https") => Ok(Stream {
                inner: proxied.tunnel.call(uri).await?,
                is_forwarded: false,
            }),
            Way::Proxied(proxied) => Ok(Stream {
                inner: MaybeHttpsStream::Http(proxied.forward.call(proxied.proxy.clone()).await?),
                is_forwarded: true,
            }),
        }
    }
}

fn tcp(resolver: Resolver) -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    // A machine that went away without a word is noticed between two calls.
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Work<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Work<Stream> {
        let connecting = self.clone().connect(uri);
        Box::pin(async move {
            tokio::time::timeout(CONNECT_WITHIN, connecting)
                .await
                .unwrap_or_else(|_| Err(NoConnection::Late(CONNECT_WITHIN).into()))
        })
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    inner: MaybeHttpsStream<TokioIo<TcpStream>>,
    is_forwarded: bool,
}

impl Stream {
    /// The other end.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let tcp = match &self.inner {
            MaybeHttpsStream::Http(tcp) => tcp.inner(),
            MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner(),
        };
        tcp.peer_addr().ok()
    }

    /// The version of TLS, where there is one.
    pub(super) fn tls(&self) -> Option<rustls::ProtocolVersion> {
        match &self.inner {
            MaybeHttpsStream::Http(_) => None,
            MaybeHttpsStream::Https(tls) => tls.inner().get_ref().1.protocol_version(),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.is_forwarded)
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, buffers)
    }
}
