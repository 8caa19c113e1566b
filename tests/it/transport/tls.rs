//! Calls over TLS: whom a client trusts, what it shows of itself, and HTTP/2.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lacuna::{
    domain::words::Outcome,
    transport::sender::{Reply, Sender as _},
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::support::unique;

use super::{
    PATIENCE, SECRET, failure, outcome,
    peer::{Peer, json},
    processor, sender, stopped, task,
};

/// Certificates of one authority, made with openssl.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        // No two have the same name.
        let subject = format!("/CN={}", unique("authority"));
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &subject,
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        authority
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, arguments: &[&str]) {
        let made = Command::new("openssl")
            .current_dir(self.folder())
            .args(arguments)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Issues a certificate for a name; with negative days it has expired.
    fn issue(&self, file: &str, name: &str, days: &str) -> (PathBuf, PathBuf) {
        let [cert, key, request, extensions] =
            ["pem", "key", "csr", "ext"].map(|end| format!("{file}.{end}"));
        std::fs::write(
            self.folder().join(&extensions),
            format!("basicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:{name}\n"),
        )
        .unwrap();
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=x",
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            &extensions,
            "-out",
            &cert,
        ]);
        (self.folder().join(cert), self.folder().join(key))
    }

    fn server(&self, file: &str, name: &str, days: &str) -> ServerConfig {
        let (chain, key) = pair(&self.issue(file, name, days));
        builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// One that wants a certificate of this authority from whoever calls.
    fn mutual_server(&self) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.folder().join("ca.pem")).unwrap())
            .unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let (chain, key) = pair(&self.issue("mutual", "localhost", "2"));
        builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
}

fn pair((cert, key): &(PathBuf, PathBuf)) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(cert)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    (chain, PrivateKeyDer::from_pem_file(key).unwrap())
}

/// Calls `localhost` over TLS with what else the transport says.
async fn call(authority: &Authority, address: SocketAddr, keys: &str) -> Reply {
    let processor = processor(&format!(
        "url = 'https://localhost:{}/', secret = '{SECRET}'{keys}",
        address.port()
    ));
    sender(authority.folder())
        .send(&processor, &task(&processor), PATIENCE)
        .await
}

const CA: &str = ", ca = 'ca.pem'";

#[tokio::test]
async fn a_certificate_of_the_named_authority_is_trusted() {
    let authority = Authority::new();
    let peer = Peer::start_tls(authority.server("good", "localhost", "2"), |_| {
        json(200, r#"{"outcome":"absent"}"#)
    })
    .await;
    assert_eq!(
        outcome(&call(&authority, peer.address, CA).await),
        Some(Outcome::Absent)
    );
}

#[tokio::test]
async fn each_thing_wrong_with_a_certificate_is_said_and_stops_the_lane() {
    let authority = Authority::new();
    let cases = [
        (
            authority.server("old", "localhost", "-1"),
            CA,
            "the certificate has expired",
        ),
        (
            authority.server("other", "example.org", "2"),
            CA,
            "for another name than the URL's",
        ),
        (
            authority.server("stranger", "localhost", "2"),
            "",
            "name the issuer's certificate in transport.ca",
        ),
    ];
    for (config, keys, expected) in cases {
        let peer = Peer::start_tls(config, |_| json(200, r#"{"outcome":"erased"}"#)).await;
        let why = stopped(call(&authority, peer.address, keys).await);
        assert!(why.contains(expected), "{expected}: {why}");
        assert_eq!(peer.calls().len(), 0, "{expected}");
    }
    let plain = Peer::start(|_| json(200, r#"{"outcome":"erased"}"#)).await;
    let processor = processor(&format!(
        "url = 'https://localhost:{}/', secret = '{SECRET}'",
        plain.address.port()
    ));
    let within = std::time::Duration::from_secs(10);
    // It may say that this is no TLS, or wait for the rest of a line that never comes.
    let reply = sender(authority.folder())
        .send(&processor, &task(&processor), within)
        .await;
    let sent_nothing = match &reply {
        Reply::Unauthorised(why) => why.contains("speaks no TLS"),
        Reply::Failed(failed) => !failed.may_have_arrived,
        Reply::Ack(_) => false,
    };
    assert!(sent_nothing && plain.calls().is_empty(), "{reply:?}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours() {
    let authority = Authority::new();
    let peer = Peer::start_tls(authority.mutual_server(), |_| {
        json(200, r#"{"outcome":"absent"}"#)
    })
    .await;
    authority.issue("ours", "lacuna", "2");
    let ours = format!("{CA}, client_cert = 'ours.pem', client_key = 'ours.key'");
    assert_eq!(
        outcome(&call(&authority, peer.address, &ours).await),
        Some(Outcome::Absent)
    );
    let why = stopped(call(&authority, peer.address, CA).await);
    assert!(why.contains("wants a client's certificate"), "{why}");
    let stranger = Authority::new();
    let (cert, key) = stranger.issue("theirs", "lacuna", "2");
    let theirs = format!(
        "{CA}, client_cert = '{}', client_key = '{}'",
        cert.display(),
        key.display()
    );
    let why = stopped(call(&authority, peer.address, &theirs).await);
    assert!(why.contains("does not take our client's certificate"), "{why}");
    // A key that is not the certificate's never gets so far.
    let mixed = format!("{CA}, client_cert = 'ours.pem', client_key = '{}'", key.display());
    assert_eq!(
        stopped(call(&authority, peer.address, &mixed).await),
        "transport.client_cert: the key in client_key is not that of this certificate"
    );
    assert_eq!(peer.calls().len(), 1);
}

/// A server of HTTP/2 that answers each third call, resets each third stream, and answers with too much to the others.
fn start_h2(authority: &Authority) -> (u16, JoinHandle<()>) {
    let mut config = authority.server("h2", "localhost", "2");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let stream = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
            tokio::spawn(
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(answer_h2)),
            );
        }
    });
    (port, serving)
}

async fn answer_h2(
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    assert!(!body.is_empty(), "a task");
    match path.as_str() {
        "/good" => Ok(hyper::Response::new(Full::from(r#"{"outcome":"absent"}"#))),
        "/large" => Ok(hyper::Response::new(Full::from(vec![b' '; 1 << 20]))),
        // The stream is reset.
        _ => Err(std::io::Error::other("reset")),
    }
}

#[tokio::test]
async fn http2_is_spoken_and_its_resets_are_failures() {
    let authority = Authority::new();
    let (port, serving) = start_h2(&authority);
    let sender = sender(authority.folder());
    for _ in 0..3 {
        for (path, expected) in [
            ("good", None),
            ("reset", Some("took the call back")),
            ("large", Some("larger than 64 KiB")),
        ] {
            let processor = processor(&format!(
                "url = 'https://localhost:{port}/{path}', secret = '{SECRET}'{CA}"
            ));
            let reply = sender.send(&processor, &task(&processor), PATIENCE).await;
            match expected {
                None => assert_eq!(outcome(&reply), Some(Outcome::Absent)),
                Some(expected) => {
                    let failed = failure(reply);
                    assert!(failed.why.contains(expected), "{path}: {}", failed.why);
                }
            }
        }
    }
    serving.abort();
}
