//! The operators' page: plain files, built into the program, or read from a directory by those who change them. The map
//! and chart libraries are not in this repository; they are built in where `scripts/install-page` has fetched them.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use tomato_shared::runtime::problem::Problem;

use super::App;

/// The map and chart libraries, by their path below `/ui/`; none where they were not installed when the hub was built.
const LIBRARIES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/libraries.rs"));

/// Whether the page can draw maps and lines.
pub(super) fn has_libraries() -> bool {
    !LIBRARIES.is_empty()
}

macro_rules! files {
    ($($path:literal)*) => {
        /// Every file of the page, by its path below `/ui/`.
        const FILES: &[(&str, &[u8])] = &[$(($path, include_bytes!(concat!("../../web/", $path))),)*];
    };
}

files! {
    "index.html" "style.css" "icon.svg"
    "js/main.js" "js/api.js" "js/dom.js" "js/format.js" "js/chart.js" "js/map.js" "js/parts.js"
    "js/projection.js"
    "js/overview.js" "js/orders.js" "js/money.js" "js/analytics.js" "js/alerts.js" "js/regions.js"
}

/// `/` leads to the page.
pub(super) async fn home() -> Redirect {
    Redirect::to("/ui/")
}

/// A file of the page. No token: it holds nothing that is secret.
pub(super) async fn file(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches("/ui").trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some((path, built_in)) = FILES.iter().chain(LIBRARIES).find(|(name, _)| *name == path) else {
        return Problem::not_found("no such path").instance(uri.path()).into_response();
    };
    let read = match &app.page.dir {
        // Only known names are looked up, so that nothing outside the directory is reached.
        Some(dir) if !path.starts_with("vendor/") => tokio::fs::read(dir.join(path)).await.ok(),
        Some(_) | None => None,
    };
    let body = read.unwrap_or_else(|| built_in.to_vec());
    let digest = Sha256::digest(&body);
    let tag: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body.into_response()
    };
    dress(response.headers_mut(), path, &tag, app.page.tile_url.as_deref());
    response
}

fn dress(headers: &mut HeaderMap, path: &str, tag: &str, tile_url: Option<&str>) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    for (name, text) in [(ETAG, tag.to_owned()), (CONTENT_SECURITY_POLICY, policy(tile_url))] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// Nothing but the page's own files, and tiles where they are configured: the map's worker fetches these.
fn policy(tile_url: Option<&str>) -> String {
    let tiles = tile_url.and_then(origin).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' {tiles}; \
         connect-src 'self' {tiles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// `https://host` of an address.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    Some(format!("{scheme}://{host}"))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_built_in() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut found = Vec::new();
        for folder in ["", "js/"] {
            for entry in std::fs::read_dir(web.join(folder)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    found.push(format!("{folder}{}", entry.file_name().to_str().unwrap()));
                }
            }
        }
        found.sort();
        let mut known: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        known.sort();
        assert_eq!(known, found);
    }

    #[test]
    fn only_the_tiles_host_is_let_in_beside_the_hub() {
        assert!(policy(None).contains("img-src 'self' ;"));
        assert!(policy(Some("https://t.example/{z}/{x}/{y}.png")).contains("img-src 'self' https://t.example;"));
        assert!(policy(Some("https://t.example/{z}/{x}/{y}.png")).contains("connect-src 'self' https://t.example;"));
        let scripts = FILES.iter().find(|(path, _)| *path == "index.html").unwrap().1;
        let text = std::str::from_utf8(scripts).unwrap();
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "no request leaves the machine"
        );
    }
}
