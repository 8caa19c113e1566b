//! The same API over TLS.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::fixture::start;

/// Makes a certificate for localhost, and its key.
pub fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl makes the certificate");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (cert, key)
}

/// A client that trusts the certificate. Blocks.
pub(super) fn connect(address: SocketAddr, cert: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(client, TcpStream::connect(address).unwrap())
}

#[tokio::test]
async fn it_serves_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let api = start(&format!("tls = {{ cert = {cert:?}, key = {key:?} }}"), true).await;
    let address = api.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address, &cert);
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    api.end().await;
}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// A connection of HTTP/2 over TLS, as every client of it makes one.
async fn connect_h2(address: SocketAddr, cert: &Path) -> Sender {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    // It ends with its sender.
    tokio::spawn(connection);
    sender
}

/// Makes a call with a body, and gives the answer's status and code.
async fn answer_to(sender: &Sender, method: &str, path: &str, token: &str, body: Vec<u8>) -> (u16, String) {
    let mut sender = sender.clone();
    let request = hyper::Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    sender.ready().await.unwrap();
    let answer = sender.send_request(request).await.expect("the answer arrives");
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await.expect("all of it").to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    (status, json["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_early_answer_arrives_over_tls_and_http2() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let api = start(&format!("tls = {{ cert = {cert:?}, key = {key:?} }}"), true).await;
    let sender = connect_h2(api.address, &cert).await;
    let cases = [
        ("POST", "/v1/requests", "wrong", 401, "unauthorized"),
        ("POST", "/v1/requests", "ops", 403, "forbidden"),
        ("POST", "/v1/nowhere", "shop", 404, "not_found"),
        ("PUT", "/v1/requests", "shop", 405, "method_not_allowed"),
        ("POST", "/v1/requests/x/cancel", "dpo", 404, "not_found"),
    ];
    for size in [200, 60_000, 400_000] {
        for (method, path, token, status, code) in cases {
            for n in 0..10 {
                let (seen, said) = answer_to(&sender, method, path, token, vec![b'x'; size]).await;
                assert_eq!(
                    (seen, said.as_str()),
                    (status, code),
                    "{method} {path} {size} bytes, call {n}"
                );
            }
        }
    }
    // What is refused for its length has been read to its end, too.
    for _ in 0..3 {
        let (status, code) = answer_to(&sender, "POST", "/v1/requests", "shop", vec![b' '; 3 << 20]).await;
        assert_eq!((status, code.as_str()), (413, "too_large"));
    }
    // Many at a time, as a client with a wrong token in its configuration sends them.
    let mut together = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let sender = sender.clone();
        together.spawn(async move {
            answer_to(&sender, "POST", "/v1/requests", "wrong", vec![b'x'; 20_000])
                .await
                .0
        });
    }
    while let Some(status) = together.join_next().await {
        assert_eq!(status.unwrap(), 401);
    }
    drop(sender);
    api.end().await;
}
