//! Transports as text. Secrets are shown as where they come from, never as what they are.

use super::{duration, quoted};
use crate::domain::registry::{
    HttpAuth, HttpOptions, Manual, OpenDsr, OpenDsrDialect, SecretRef, SettingValue, Transport, Vendor,
    Webhook,
};

/// Keys with their values.
type Keys<'a> = Vec<(&'a str, String)>;

pub(super) fn transport_of(transport: &Transport) -> String {
    let mut keys: Keys<'_> = vec![("type", quoted(transport.kind()))];
    match transport {
        Transport::Kafka { topic } => keys.extend(topic.as_ref().map(|topic| ("topic", quoted(topic)))),
        Transport::Webhook(webhook) => webhook_of(webhook, &mut keys),
        Transport::OpenDsr(opendsr) => opendsr_of(opendsr, &mut keys),
        Transport::Vendor(vendor) => vendor_of(vendor, &mut keys),
        Transport::Manual(manual) => manual_of(manual, &mut keys),
        Transport::Agent => {}
    }
    table(&keys)
}

fn webhook_of(webhook: &Webhook, keys: &mut Keys<'_>) {
    let Webhook {
        url,
        secrets,
        timeout,
        http,
    } = webhook;
    keys.push(("url", quoted(url)));
    match secrets.as_slice() {
        [secret] => keys.push(("secret", quoted(secret.shown()))),
        secrets => {
            let shown: Vec<String> = secrets.iter().map(|secret| quoted(secret.shown())).collect();
            keys.push(("secret", format!("[{}]", shown.join(", "))));
        }
    }
    keys.push(("timeout", duration(*timeout)));
    http_of(http, keys);
}

fn opendsr_of(opendsr: &OpenDsr, keys: &mut Keys<'_>) {
    let OpenDsr {
        url,
        dialect,
        auth,
        processor_domain,
        poll,
        formats,
        settings,
        timeout,
        http,
    } = opendsr;
    keys.push(("url", quoted(url)));
    let words = OpenDsrDialect::ALL.iter().find(|(known, ..)| known == dialect);
    keys.extend(words.map(|(_, key, word)| (*key, quoted(word))));
    for setting in dialect.data().settings {
        let set = settings.iter().find(|(key, _)| key == setting.key);
        keys.extend(set.map(|(_, value)| (setting.key, quoted(value))));
    }
    if !formats.is_empty() {
        let formats: Vec<String> = formats
            .iter()
            .map(|(kind, format)| format!("{kind} = {}", quoted(format.as_str())))
            .collect();
        keys.push(("formats", format!("{{ {} }}", formats.join(", "))));
    }
    keys.extend(auth_of(auth).map(|auth| ("auth", auth)));
    keys.extend(
        processor_domain
            .as_ref()
            .map(|domain| ("processor_domain", quoted(domain))),
    );
    keys.push(("poll", duration(*poll)));
    keys.push(("timeout", duration(*timeout)));
    http_of(http, keys);
}

fn vendor_of<'a>(vendor: &'a Vendor, keys: &mut Keys<'a>) {
    let Vendor {
        connector,
        settings,
        url,
        poll,
        timeout,
        http,
    } = vendor;
    keys.push(("connector", quoted(connector)));
    for (name, value) in settings {
        let shown = match value {
            SettingValue::Plain(text) => text,
            SettingValue::Secret(secret) => secret.shown(),
        };
        keys.push((name, quoted(shown)));
    }
    keys.extend(url.as_ref().map(|url| ("url", quoted(url))));
    keys.extend(poll.map(|poll| ("poll", duration(poll))));
    keys.push(("timeout", duration(*timeout)));
    http_of(http, keys);
}

fn manual_of(manual: &Manual, keys: &mut Keys<'_>) {
    let Manual {
        assignee,
        instructions,
        due,
        confirm_by_two,
    } = manual;
    keys.push(("assignee", quoted(assignee)));
    keys.extend(instructions.as_ref().map(|text| ("instructions", quoted(text))));
    keys.extend(due.map(|due| ("due", duration(due))));
    keys.push(("confirm_by_two", confirm_by_two.to_string()));
}

fn http_of(http: &HttpOptions, keys: &mut Keys<'_>) {
    let HttpOptions {
        headers,
        ca,
        client_cert,
        client_key,
        proxy,
    } = http;
    if !headers.is_empty() {
        let headers = headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{} = {}", quoted(name), quoted(value.shown())))
            .collect();
        keys.push(("headers", format!("{{ {} }}", headers.join(", "))));
    }
    for (key, value) in [
        ("ca", ca),
        ("client_cert", client_cert),
        ("client_key", client_key),
        ("proxy", proxy),
    ] {
        keys.extend(value.as_ref().map(|value| (key, quoted(value))));
    }
}

fn auth_of(auth: &HttpAuth) -> Option<String> {
    let secret = |secret: &SecretRef| quoted(secret.shown());
    let keys = match auth {
        HttpAuth::None => return None,
        HttpAuth::Basic { username, password } => vec![
            ("type", quoted("basic")),
            ("username", quoted(username)),
            ("password", secret(password)),
        ],
        HttpAuth::Bearer { token } => vec![("type", quoted("bearer")), ("token", secret(token))],
        HttpAuth::Header { name, value } => vec![
            ("type", quoted("header")),
            ("name", quoted(name)),
            ("value", secret(value)),
        ],
    };
    Some(table(&keys))
}

fn table(keys: &[(&str, String)]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", keys.join(", "))
}
