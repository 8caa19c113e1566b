//! A server that answers as it is told, byte for byte.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A call that has arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its first line.
    pub line: String,
    /// Its headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a task is JSON")
    }
}

/// How a call is answered.
#[derive(Debug, Clone)]
pub enum Manner {
    /// With these bytes; the connection stays.
    Bytes(Vec<u8>),
    /// With the first of these, and then with the second over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// With one byte of these every 20 ms, over and over.
    Dripping(Vec<u8>, Vec<u8>),
    /// Never.
    Silent,
    /// By hanging up.
    HungUp,
}

/// An answer with a body of JSON.
pub fn json(status: u16, body: &str) -> Manner {
    with_headers(status, "content-type: application/json\r\n", body.as_bytes())
}

/// An answer with headers, each with its line's end.
pub fn with_headers(status: u16, headers: &str, body: &[u8]) -> Manner {
    let head = format!(
        "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    Manner::Bytes([head.as_bytes(), body].concat())
}

/// A running server; it ends with this.
pub struct Peer {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    connections: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Peer {
    pub async fn start(answer: impl Fn(&Call) -> Manner + Send + Sync + 'static) -> Self {
        Self::serve(None, answer).await
    }

    pub async fn start_tls(
        config: ServerConfig,
        answer: impl Fn(&Call) -> Manner + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))), answer).await
    }

    async fn serve(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Call) -> Manner + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, connections) = (Arc::<Mutex<Vec<Call>>>::default(), Arc::<AtomicUsize>::default());
        let (seen, counted) = (Arc::clone(&calls), Arc::clone(&connections));
        let answer = Arc::new(answer);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, seen, answer) = (tls.clone(), Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    match tls {
                        None => connection(stream, &seen, answer.as_ref()).await,
                        Some(tls) => {
                            // A client that does not trust us ends here.
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, &seen, answer.as_ref()).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            calls,
            connections,
            serving,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/erase", self.address)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    seen: &Mutex<Vec<Call>>,
    answer: &(impl Fn(&Call) -> Manner + ?Sized),
) {
    while let Some(call) = read(&mut stream).await {
        let manner = answer(&call);
        seen.lock().unwrap().push(call);
        if !answered(&mut stream, manner).await {
            return;
        }
    }
}

/// Answers; `false`: the connection is over.
async fn answered<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, manner: Manner) -> bool {
    match manner {
        Manner::Bytes(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
        Manner::HungUp => false,
        Manner::Silent => {
            // Until the other side has had enough.
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            false
        }
        Manner::Endless(first, again) => {
            let mut going = stream.write_all(&first).await.is_ok();
            while going {
                going = stream.write_all(&again).await.is_ok();
            }
            false
        }
        Manner::Dripping(first, again) => {
            let mut going = stream.write_all(&first).await.is_ok();
            for byte in again.iter().cycle() {
                if !going {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                going = stream.write_all(&[*byte]).await.is_ok() && stream.flush().await.is_ok();
            }
            false
        }
    }
}

/// Reads a call; `None`: the connection is over.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Call> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        })
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Call { line, headers, body })
}
