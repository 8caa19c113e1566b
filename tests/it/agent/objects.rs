//! Objects: a server that speaks as S3 does, and a folder.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lacuna::{
    agent::{Answer, Place, Task, Turn, open},
    clock::{Clock, Stopwatch},
    config::Agent,
    domain::{time::At, words::Outcome},
};
use reqwest::{Client, Method};
use tokio_util::sync::CancellationToken;

use super::{message, read, task};
use crate::support::{free_port, service, unique, wait_for};

/// A server with buckets, which ends with the test.
struct Server {
    child: Child,
    endpoint: String,
    client: Client,
}

impl Server {
    fn start() -> Self {
        let port = free_port();
        let child = Command::new(service("LACUNA_TEST_S3_PYTHON"))
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the buckets are served", Duration::from_secs(60), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            child,
            endpoint: format!("http://127.0.0.1:{port}"),
            client: Client::new(),
        }
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut request = self.client.request(method, format!("{}/{path}", self.endpoint));
        // It asks for somebody's name, and believes every signature.
        let name = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        request = request.header("authorization", name);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_owned()).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }

    /// A bucket that keeps versions, with locks.
    async fn bucket(&self) -> String {
        let name = unique("b");
        let lock = [("x-amz-bucket-object-lock-enabled", "true")];
        self.call(Method::PUT, &name, &lock, "").await;
        let versioned = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        self.call(Method::PUT, &format!("{name}?versioning"), &[], versioned)
            .await;
        name
    }

    async fn put(&self, bucket: &str, key: &str, headers: &[(&str, &str)]) {
        self.call(Method::PUT, &format!("{bucket}/{key}"), headers, "content")
            .await;
    }

    /// How many versions and delete markers there are.
    async fn versions(&self, bucket: &str, prefix: &str) -> usize {
        let url = format!("{}/{bucket}?versions&prefix={prefix}", self.endpoint);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        text.matches("<VersionId>").count()
    }

    async fn agent(&self, bucket: &str) -> Result<Box<dyn Place>, String> {
        agent(&format!(
            "url = 's3://{bucket}'\nendpoint = '{}'\naccess_key = 'key'\nsecret_key = 'secret'\nprefixes = ['users/{{customer_id}}/', 'mail/{{email}}/']",
            self.endpoint
        ))
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

async fn agent(objects: &str) -> Result<Box<dyn Place>, String> {
    let text = format!(
        "processor = 'files'\n[source]\nhttp = {{ url = 'http://127.0.0.1:1' }}\n[objects]\n{objects}\n"
    );
    let agent =
        Agent::read_text("agent.toml", Path::new(""), &text, &|_| None).map_err(|error| error.to_string())?;
    open(&agent, &Clock::System)
        .await
        .map_err(|error| error.to_string())
}

async fn carry_out(place: &dyn Place, task: Task) -> Answer {
    place.carry_out(&[task], &Turn::default()).await.remove(0)
}

fn of(customer: &str, action: &str) -> Task {
    task(action, &[("customer_id", customer)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_versions_and_delete_markers_of_a_person_go() {
    let server = Server::start();
    let bucket = server.bucket().await;
    for key in [
        "users/4/a",
        "users/4/a",
        "users/4/sub/b&%3Cc",
        "users/42/a",
        "mail/x@example.org/1",
    ] {
        server.put(&bucket, key, &[]).await;
    }
    server
        .call(Method::DELETE, &format!("{bucket}/users/4/a"), &[], "")
        .await;
    assert_eq!(
        server.versions(&bucket, "users/4/").await,
        4,
        "two versions, a marker, and another"
    );
    let agent = server.agent(&bucket).await.unwrap();
    assert_eq!(
        carry_out(agent.as_ref(), of("4", "verify")).await.outcome,
        Outcome::Present
    );
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(answer.evidence.unwrap().records, 4);
    assert_eq!(
        (
            server.versions(&bucket, "users/4/").await,
            server.versions(&bucket, "users/42/").await,
            server.versions(&bucket, "mail/").await
        ),
        (0, 1, 1)
    );
    assert_eq!(
        carry_out(agent.as_ref(), of("4", "verify")).await.outcome,
        Outcome::Absent
    );
    assert_eq!(
        carry_out(agent.as_ref(), of("4", "erase")).await.outcome,
        Outcome::NotFound
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_object_is_retained_until_its_date() {
    let server = Server::start();
    let bucket = server.bucket().await;
    let until = "2031-01-01T00:00:00Z";
    let lock = [
        // Of what is put there.
        ("content-md5", "mgNkuembtIDdJeHwKEyFVQ=="),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", until),
    ];
    server.put(&bucket, "users/4/locked", &lock).await;
    server.put(&bucket, "users/4/open", &[]).await;
    let agent = server.agent(&bucket).await.unwrap();
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(answer.outcome, Outcome::Retained, "{answer:?}");
    let (basis, date, _) = answer.retained.unwrap();
    assert_eq!((basis.as_str(), date), ("object_lock", At::parse(until).ok()));
    assert_eq!(answer.evidence.unwrap().records, 1);
    assert_eq!(
        server.versions(&bucket, "users/4/").await,
        1,
        "what is not locked is gone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_page_of_objects_goes() {
    let server = Server::start();
    let bucket = server.bucket().await;
    for n in 0..1100 {
        server.put(&bucket, &format!("users/4/{n}"), &[]).await;
    }
    let agent = server.agent(&bucket).await.unwrap();
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(answer.evidence.unwrap().records, 1100);
    assert_eq!(server.versions(&bucket, "users/4/").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_that_is_not_there_is_said_at_the_start() {
    let server = Server::start();
    let error = server.agent("nowhere").await.unwrap_err();
    assert!(error.contains("NoSuchBucket"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_that_goes_away_is_a_failure() {
    let server = Server::start();
    let bucket = server.bucket().await;
    server.put(&bucket, "users/4/a", &[]).await;
    let agent = server.agent(&bucket).await.unwrap();
    drop(server);
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_person_go_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |key: &str| folder.path().join("store").join(key);
    for key in ["users/4/a", "users/4/sub/b", "users/42/a", "users/..%2F/c"] {
        std::fs::create_dir_all(path(key).parent().unwrap()).unwrap();
        std::fs::write(path(key), "x").unwrap();
    }
    std::fs::write(folder.path().join("outside"), "x").unwrap();
    std::os::unix::fs::symlink(folder.path(), path("users/4/link")).unwrap();
    let agent = agent(&format!(
        "url = 'file://{}'\nprefixes = ['users/{{customer_id}}/']",
        path("").display()
    ))
    .await
    .unwrap();
    for value in ["..", "../..", ".", "4/../42", "/", "\0"] {
        let answer = carry_out(agent.as_ref(), of(value, "erase")).await;
        assert_eq!(answer.outcome, Outcome::NotFound, "{value:?}: {answer:?}");
    }
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(
        answer.evidence.unwrap().records,
        3,
        "with the link, and without what it leads to"
    );
    assert!(folder.path().join("outside").exists() && path("users/42/a").exists());
    assert!(!path("users/4/sub/b").exists());
}

/// A bucket in front of another one: it asks for patience so often before it lets calls through.
struct Slow {
    left: AtomicUsize,
    asked: AtomicUsize,
    behind: String,
    client: Client,
}

impl Slow {
    async fn start(server: &Server, times: usize) -> (Arc<Self>, String) {
        let slow = Arc::new(Self {
            left: AtomicUsize::new(0),
            asked: AtomicUsize::new(times),
            behind: server.endpoint.clone(),
            client: Client::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&slow));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (slow, endpoint)
    }

    /// From now on.
    fn begin(&self) {
        self.left
            .store(self.asked.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

async fn pass(
    axum::extract::State(slow): axum::extract::State<Arc<Slow>>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let is_slow = slow
        .left
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok();
    if is_slow {
        // As Amazon documents it.
        let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        return axum::response::IntoResponse::into_response((
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            body,
        ));
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let url = format!("{}{}", slow.behind, parts.uri);
    let answer = slow
        .client
        .request(parts.method, url)
        .body(bytes)
        .send()
        .await
        .unwrap();
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
    axum::response::IntoResponse::into_response((status, bytes))
}

fn behind(endpoint: &str, bucket: &str, rest: &str) -> String {
    format!(
        "url = 's3://{bucket}'\nendpoint = '{endpoint}'\naccess_key = 'key'\nsecret_key = 'secret'\nprefixes = ['users/{{customer_id}}/']\n{rest}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_that_is_slow_is_asked_again() {
    let server = Server::start();
    let bucket = server.bucket().await;
    server.put(&bucket, "users/4/a", &[]).await;
    let (slow, endpoint) = Slow::start(&server, 4).await;
    let agent = agent(&behind(&endpoint, &bucket, "")).await.unwrap();
    slow.begin();
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(server.versions(&bucket, "users/4/").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_that_stays_slow_leaves_the_rest_for_later() {
    let server = Server::start();
    let bucket = server.bucket().await;
    server.put(&bucket, "users/4/a", &[]).await;
    let (slow, endpoint) = Slow::start(&server, usize::MAX).await;
    let agent = agent(&behind(&endpoint, &bucket, "")).await.unwrap();
    slow.begin();
    let answer = carry_out(agent.as_ref(), of("4", "erase")).await;
    assert_eq!(
        (answer.outcome, answer.retry_after_seconds),
        (Outcome::Partial, Some(60)),
        "the lane does not fail: {answer:?}"
    );
    assert!(answer.message.unwrap().contains("SlowDown"));
    // Whoever stops does not wait for it.
    let stop = CancellationToken::new();
    stop.cancel();
    let began = Stopwatch::start();
    let turn = Turn::until(&stop);
    let answer = agent.carry_out(&[of("4", "erase")], &turn).await.remove(0);
    assert_eq!(answer.outcome, Outcome::Partial);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(server.versions(&bucket, "users/4/").await, 1);
}

fn files() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("users/4")).unwrap();
    std::fs::write(folder.path().join("users/4/a"), "x").unwrap();
    let config = format!(
        "url = 'file://{}'\nprefixes = ['users/{{customer_id}}/']\n",
        folder.path().display()
    );
    (folder, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_that_is_not_utf8_is_a_failure() {
    let (folder, config) = files();
    let name = std::ffi::OsStr::from_bytes(b"users/4/\xff");
    std::fs::write(folder.path().join(name), "x").unwrap();
    std::fs::create_dir_all(folder.path().join(std::ffi::OsStr::from_bytes(b"users/\xfe"))).unwrap();
    let agent = agent(&config).await.unwrap();
    for action in ["erase", "verify"] {
        let answer = carry_out(agent.as_ref(), of("4", action)).await;
        assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
        assert!(answer.message.unwrap().contains("not UTF-8"));
    }
    let answer = carry_out(agent.as_ref(), of("5", "erase")).await;
    assert_eq!(
        answer.outcome,
        Outcome::NotFound,
        "it is nobody else's: {answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_that_is_a_link_is_a_failure() {
    let (folder, config) = files();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("kept"), "x").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("users/5")).unwrap();
    let agent = agent(&config).await.unwrap();
    let answer = carry_out(agent.as_ref(), of("5", "erase")).await;
    assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
    assert!(answer.message.unwrap().contains("is a link"));
    assert!(elsewhere.path().join("kept").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_for_some_categories_erases_no_others() {
    let (folder, config) = files();
    let mut limited = message("erase", &[("customer_id", "4")]);
    limited["scope"]["categories"] = serde_json::json!(["orders"]);
    let plain = agent(&config).await.unwrap();
    let answer = carry_out(plain.as_ref(), read(&limited)).await;
    assert_eq!(answer.outcome, Outcome::Unsupported, "{answer:?}");
    let photos = agent(&format!("{config}category = 'photos'")).await.unwrap();
    let answer = carry_out(photos.as_ref(), read(&limited)).await;
    assert_eq!(answer.outcome, Outcome::NotFound, "{answer:?}");
    let mut by_key = message("erase", &[("customer_id", "4")]);
    by_key["method"] = serde_json::json!("crypto_erase");
    let answer = carry_out(photos.as_ref(), read(&by_key)).await;
    assert_eq!(answer.outcome, Outcome::Unsupported, "{answer:?}");
    assert!(folder.path().join("users/4/a").exists());
    limited["scope"]["categories"] = serde_json::json!(["photos"]);
    let answer = carry_out(photos.as_ref(), read(&limited)).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
}
