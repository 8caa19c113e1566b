//! The style sheet, the script and the icon. Their addresses hold a digest of what they are, so that a browser keeps them until they
//! change and never shows a page with those of another version.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    http::{HeaderName, header},
    routing::get,
};
use sha2::{Digest as _, Sha256};

use super::super::Api;

const STYLE: &str = include_str!("console.css");
const SCRIPT: &str = include_str!("console.js");
const ICON: &str = include_str!("icon.svg");

/// Where the style sheet is.
pub(super) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("console", "css", STYLE));
/// Where the script is.
pub(super) static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path("console", "js", SCRIPT));
/// Where the icon is.
pub(super) static ICON_PATH: LazyLock<String> = LazyLock::new(|| path("icon", "svg", ICON));

fn path(name: &str, extension: &str, content: &str) -> String {
    let digest = hex::encode(&Sha256::digest(content)[..8]);
    format!("/assets/{name}-{digest}.{extension}")
}

/// The files.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route(
            &STYLE_PATH,
            get(async || (headers("text/css; charset=utf-8"), STYLE)),
        )
        .route(
            &SCRIPT_PATH,
            get(async || (headers("text/javascript; charset=utf-8"), SCRIPT)),
        )
        .route(&ICON_PATH, get(async || (headers("image/svg+xml"), ICON)))
}

const fn headers(content_type: &'static str) -> [(HeaderName, &'static str); 3] {
    [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}
