//! `[objects]`: a bucket or a folder that holds personal data.

use std::path::PathBuf;

use crate::{
    config::{
        reader::{Entry, Section},
        secret::Secret,
    },
    domain::{identity_template::Template, ids::Label},
};

/// A bucket or a folder that holds personal data.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// Where it is.
    pub at: ObjectsAt,
    /// What the keys of a person's objects begin with.
    pub prefixes: Vec<Template>,
    /// The legal basis that is given for objects that are locked.
    pub basis: Label,
    /// The category of its data. Without one, tasks that are limited to categories are not carried out.
    pub category: Option<Label>,
}

/// Where objects are.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectsAt {
    /// In a bucket of S3, or of what speaks like it.
    S3(Bucket),
    /// In a folder of this machine.
    Folder(PathBuf),
}

/// A bucket of S3.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where it is served, if not by Amazon.
    pub endpoint: Option<String>,
    /// The access key.
    pub access_key: String,
    /// The secret that belongs to it.
    pub secret_key: Secret,
    /// What goes with temporary keys.
    pub session_token: Option<Secret>,
}

pub(super) fn read(section: &Section<'_>) -> Option<Objects> {
    let at = section.need("url").and_then(|e| at(section, &e));
    let prefixes = section.need("prefixes").and_then(|e| e.some_set(prefix));
    let basis = section.get("basis").and_then(|e| e.checked(Label::new));
    let basis = basis.or_else(|| Label::new("object_lock").ok());
    Some(Objects {
        at: at?,
        prefixes: prefixes?,
        basis: basis?,
        category: section.get("category").and_then(|e| e.checked(Label::new)),
    })
}

fn at(section: &Section<'_>, entry: &Entry<'_>) -> Option<ObjectsAt> {
    const EXPECTED: &str = "expected s3://BUCKET or file:///FOLDER";
    let url = entry.line_of_text()?;
    let (scheme, rest) = match url.split_once("://") {
        Some(parts) => parts,
        None => return entry.refused(EXPECTED),
    };
    let rest = rest.trim_end_matches('/');
    match scheme {
        "s3" if !rest.is_empty() && !rest.contains('/') => bucket(section, rest).map(ObjectsAt::S3),
        "file" if rest.starts_with('/') => Some(ObjectsAt::Folder(PathBuf::from(rest))),
        "gs" | "az" => entry.refused("not built yet in this version: s3:// and file:// are"),
        _ => entry.refused(EXPECTED),
    }
}

fn bucket(section: &Section<'_>, name: &str) -> Option<Bucket> {
    let secret = |key: &'static str| {
        section.get(key).and_then(|e| {
            let source = e.secret_source()?;
            e.resolved(&source)
        })
    };
    let region = section.text_or("region", "us-east-1");
    let endpoint = section.get("endpoint").and_then(|e| {
        let text = e.line_of_text()?;
        let is_http = text.starts_with("http://") || text.starts_with("https://");
        if !is_http {
            return e.refused("expected http://… or https://…");
        }
        Some(text.trim_end_matches('/').to_owned())
    });
    let (access_key, secret_key) = (secret("access_key"), secret("secret_key"));
    let session_token = secret("session_token");
    for (key, value) in [("access_key", &access_key), ("secret_key", &secret_key)] {
        if value.is_none() && section.get(key).is_none() {
            section.problem(key, "missing");
        }
    }
    Some(Bucket {
        name: name.to_owned(),
        region,
        endpoint,
        access_key: access_key?.expose().to_owned(),
        secret_key: secret_key?,
        session_token,
    })
}

fn prefix(entry: &Entry<'_>) -> Option<Template> {
    let template = entry.checked(Template::parse)?;
    let text = template.to_string();
    if text.ends_with('}') {
        return entry.refused(
            "expected something after the last place, such as a slash: what begins with users/4 begins with users/42, too",
        );
    }
    if text.starts_with('/') || text.split('/').any(|part| matches!(part, "." | "..")) {
        return entry.refused("expected a prefix without a slash at its beginning, and without . and ..");
    }
    Some(template)
}
