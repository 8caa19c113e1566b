//! A real Chromium, driven through its own driver.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::CmdError};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::site::token_of;
use crate::support::free_port;

const PATIENCE: Duration = Duration::from_secs(30);

/// The key Enter, as WebDriver writes it.
const ENTER: &str = "\u{e007}";

/// The driver; it ends with this, and every browser with it.
pub struct Driver {
    child: Child,
    port: u16,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// How the browser looks at pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Light,
    Dark,
    /// A telephone of 360 pixels.
    Narrow,
}

impl Driver {
    pub fn start() -> Self {
        let port = free_port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: run the tests through tests/run, which installs it");
        Self { child, port }
    }

    /// A new browser, which knows nobody.
    pub async fn browser(&self, base: &str, look: Look) -> Chromium {
        let scheme = if look == Look::Dark { 0 } else { 1 };
        let mut options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000",
            format!("--blink-settings=preferredColorScheme={scheme}"),
        ]});
        if look == Look::Narrow {
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": 360, "height": 800, "pixelRatio": 1.0 } });
        }
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let capabilities = capabilities.as_object().unwrap().clone();
        let url = format!("http://127.0.0.1:{}", self.port);
        let start = lacuna::clock::Stopwatch::start();
        loop {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            match builder.capabilities(capabilities.clone()).connect(&url).await {
                Ok(client) => {
                    return Chromium {
                        client,
                        base: base.to_owned(),
                    };
                }
                Err(error) => assert!(start.elapsed() < PATIENCE, "no browser: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A browser.
pub struct Chromium {
    pub client: Client,
    base: String,
}

impl Chromium {
    /// Signs in.
    pub async fn sign_in(&self, name: &str) {
        self.open("/login").await;
        self.write("input[name=token]", &token_of(name)).await;
        self.click("form[action='/login'] button").await;
        self.says(&format!("Signed in as {name}")).await;
    }

    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Where it is, without the host.
    pub async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    pub async fn find(&self, selector: &str) -> Element {
        let found = self
            .client
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(selector))
            .await;
        match found {
            Ok(element) => element,
            Err(error) => panic!(
                "no {selector} on {}: {error}\n{}",
                self.path().await,
                self.text().await
            ),
        }
    }

    /// How many there are of it now.
    pub async fn count(&self, selector: &str) -> usize {
        self.client.find_all(Locator::Css(selector)).await.unwrap().len()
    }

    pub async fn click(&self, selector: &str) {
        self.insist(async || self.find(selector).await.click().await)
            .await;
    }

    /// Does something as soon as the page lets it be done: an element may be about to be replaced, or not be laid out yet.
    async fn insist(&self, attempt: impl AsyncFn() -> Result<(), CmdError>) {
        let start = lacuna::clock::Stopwatch::start();
        while let Err(error) = attempt().await {
            assert!(start.elapsed() < PATIENCE, "on {}: {error}", self.path().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn write(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses an option of a list by its value.
    pub async fn choose(&self, selector: &str, value: &str) {
        self.find(selector).await.select_by_value(value).await.unwrap();
    }

    /// Fills in and sends the form of an action.
    pub async fn act(&self, action: &str, reason: &str) {
        let form = format!("form[data-action={action}]");
        if !reason.is_empty() {
            self.write(&format!("{form} input[name=reason]"), reason).await;
        }
        self.click(&format!("{form} button[type=submit]")).await;
    }

    /// Looks for something through the field on top.
    pub async fn search(&self, text: &str) {
        self.write("#q", text).await;
        self.find("#q").await.send_keys(ENTER).await.unwrap();
    }

    /// Presses a key on the page.
    pub async fn press(&self, key: &str) {
        self.insist(async || self.client.active_element().await?.send_keys(key).await)
            .await;
    }

    /// What the page says.
    pub async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await.unwrap();
        body.text().await.unwrap()
    }

    /// Waits until the page says this.
    pub async fn says(&self, wanted: &str) {
        let start = lacuna::clock::Stopwatch::start();
        loop {
            // A page that is just being left has no body.
            let text = match self.client.find(Locator::Css("body")).await {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if text.contains(wanted) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{} does not say {wanted:?}:\n{text}",
                self.path().await
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs a script in the page, which ends by calling its last argument.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.unwrap()
    }
}
