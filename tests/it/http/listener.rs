//! Connections on which nothing comes, plain and over TLS.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use axum::{Router, routing::get};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use lacuna::{clock::Stopwatch, http::listener};

use super::tls::{certificate, connect};

const PATIENCE: Duration = Duration::from_millis(400);

/// Of a listener whose clients do finish their headers, on the busiest machine too.
const LONG_PATIENCE: Duration = Duration::from_secs(3);

/// Far above the patience, far below what a connection without a limit would take.
const LIMIT: Duration = Duration::from_secs(10);

/// Nothing, the beginning of HTTP/2 in part and as a whole, and of HTTP/1 a little and nearly all.
const BEGINNINGS: [&[u8]; 6] = [
    b"",
    b"P",
    b"PRI * HTTP/2",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"G",
    b"GET /slow HTTP/1.1\r\nhost: localhost\r\n",
];

/// A listener with a short patience, and its certificate if it is one of TLS.
struct Place {
    address: SocketAddr,
    cert: Option<PathBuf>,
    _folder: tempfile::TempDir,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Place {
    async fn open(over_tls: bool, patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tls, cert) = if over_tls {
            let (cert, key) = certificate(folder.path());
            // Refused only where another test was first.
            drop(rustls::crypto::ring::default_provider().install_default());
            let tls = RustlsConfig::from_pem_file(&cert, &key).await.unwrap();
            (Some(tls), Some(cert))
        } else {
            (None, None)
        };
        let slow = get(move || async move {
            tokio::time::sleep(2 * patience).await;
            "done"
        });
        let app = Router::new().route("/slow", slow);
        let socket = listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(listener::serve(socket, tls, app, Handle::new(), patience));
        Self {
            address,
            cert,
            _folder: folder,
        }
    }

    /// Blocks.
    fn connect(&self) -> Box<dyn Stream> {
        match &self.cert {
            Some(cert) => {
                let stream = connect(self.address, cert);
                stream.sock.set_read_timeout(Some(LIMIT)).unwrap();
                Box::new(stream)
            }
            None => {
                let stream = TcpStream::connect(self.address).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                Box::new(stream)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_finish_a_header_is_let_go() {
    for over_tls in [false, true] {
        let place = Place::open(over_tls, PATIENCE).await;
        let asking = tokio::task::spawn_blocking(move || {
            for beginning in BEGINNINGS {
                let watch = Stopwatch::start();
                let mut stream = place.connect();
                stream.write_all(beginning).unwrap();
                stream.flush().unwrap();
                // It may end with a reset or, over TLS, without a farewell.
                drop(stream.read_to_end(&mut Vec::new()));
                let (took, beginning) = (watch.elapsed(), String::from_utf8_lossy(beginning));
                assert!(took < LIMIT / 2, "{beginning:?} over TLS {over_tls}: {took:?}");
                assert!(took > PATIENCE / 2, "{beginning:?} over TLS {over_tls}: {took:?}");
            }
        });
        asking.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_may_take_longer_than_the_header() {
    // One is shorter than what tells HTTP/2, one comes in two parts.
    let whole = ["GET /slow HTTP/1.0\r\n\r\n", ""];
    let parts = ["GET /slow HTTP/1.1\r\nhost: a\r\nconn", "ection: close\r\n\r\n"];
    let mut asking = Vec::new();
    for over_tls in [false, true] {
        for [first, second] in [whole, parts] {
            let place = Place::open(over_tls, LONG_PATIENCE).await;
            asking.push(tokio::task::spawn_blocking(move || {
                let mut stream = place.connect();
                stream.write_all(first.as_bytes()).unwrap();
                stream.flush().unwrap();
                std::thread::park_timeout(LONG_PATIENCE / 8);
                stream.write_all(second.as_bytes()).unwrap();
                stream.flush().unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert!(
                    answer.ends_with("done"),
                    "{first:?} over TLS {over_tls}: {answer}"
                );
            }));
        }
    }
    for asked in asking {
        asked.await.unwrap();
    }
}
