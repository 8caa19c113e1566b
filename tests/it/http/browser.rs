//! A browser without a screen: it keeps cookies, does not follow redirects by itself, and sends forms as a page has them.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use reqwest::{Client, Method, StatusCode, header::HeaderMap, redirect::Policy};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A browser at one listener.
pub struct Browser {
    client: Client,
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A page.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    /// The page, which has to be one of this status and to say this.
    pub fn says(self, status: u16, text: &str) -> Self {
        assert!(
            self.status == status && self.text.contains(text),
            "{} without {text:?}: {}",
            self.status,
            self.text
        );
        self
    }

    /// Where it leads to.
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.headers["location"].to_str().unwrap()
    }

    /// The value of a hidden field of a form.
    pub fn hidden(&self, name: &str) -> String {
        let before = format!("name=\"{name}\" value=\"");
        let (_, rest) = self
            .text
            .split_once(&before)
            .unwrap_or_else(|| panic!("no field {name}: {}", self.text));
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Browser {
    pub fn new(base: &str) -> Self {
        Self {
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            base: base.to_owned(),
            cookies: Mutex::default(),
        }
    }

    /// Asks for a page.
    pub async fn get(&self, path: &str) -> Page {
        self.ask(Method::GET, path, &[], &[]).await
    }

    /// Sends these fields, and nothing else.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.ask(Method::POST, path, fields, &[]).await
    }

    /// Sends a form of a page: its token, and these fields.
    pub async fn send(&self, page: &Page, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = page.hidden("csrf");
        let mut all = vec![("csrf", token.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all).await
    }

    /// Signs in with a token.
    pub async fn sign_in(&self, token: &str) -> Page {
        let page = self.get("/login").await;
        self.send(&page, "/login", &[("token", token)]).await
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// Has a cookie of somebody else's making.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies
            .lock()
            .unwrap()
            .insert(name.to_owned(), value.to_owned());
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Page {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.base)
        } else {
            path.to_owned()
        };
        let mut call = self.client.request(method.clone(), url).timeout(LIMIT);
        if method == Method::POST {
            let body = form_of(fields);
            call = call
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
        }
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let cookies = self.cookies.lock().unwrap().clone();
        if !cookies.is_empty() {
            let cookies: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            call = call.header("cookie", cookies.join("; "));
        }
        let answer = call.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        for set in headers.get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split_once('=').unwrap();
            let value = value.split(';').next().unwrap();
            self.set_cookie(name, value);
        }
        let text = answer.text().await.unwrap();
        Page {
            status,
            headers,
            text,
        }
    }
}

/// Fields as a browser writes them.
fn form_of(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let escape = |byte: u8| match byte {
            b' ' => "+".to_owned(),
            b if b.is_ascii_alphanumeric() || b"-_.*".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        text.bytes().map(escape).collect::<String>()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join("&")
}
