//! The browser UI at `/`: files that the build put into the program, with client-side routes falling back to the page.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// A file of the UI.
#[derive(Clone)]
struct Asset {
    bytes: Cow<'static, [u8]>,
    content_type: String,
    sha256: [u8; 32],
}

/// The page that every route of the UI opens.
const PAGE: &str = "index.html";
/// Where the build puts files with a hash of their content in the name.
const HASHED: &str = "assets/";
/// Forms in which the build may have left a compressed copy beside a file, best first.
const COMPRESSED: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// What no other route answers.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    respond(embedded, &method, uri.path(), &headers)
}

#[cfg(feature = "ui")]
fn embedded(path: &str) -> Option<Asset> {
    /// What `build.rs` made of `ui`.
    #[derive(rust_embed::RustEmbed)]
    #[folder = "ui/dist"]
    struct Files;

    let file = Files::get(path)?;
    let content_type = file.metadata.mimetype().to_owned();
    Some(Asset { bytes: file.data, content_type, sha256: file.metadata.sha256_hash() })
}

#[cfg(not(feature = "ui"))]
fn embedded(path: &str) -> Option<Asset> {
    /// In place of the UI.
    const WITHOUT_UI: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>needle</title><h1>needle</h1>\
        <p>This program was built without the browser UI (cargo feature <code>ui</code>). \
        The API works: <a href=\"/api/openapi.json\">/api/openapi.json</a> describes it.</p></html>\n";
    let page = Asset { bytes: Cow::Borrowed(WITHOUT_UI.as_bytes()), content_type: "text/html".to_owned(), sha256: [0; 32] };
    (path == PAGE).then_some(page)
}

fn respond(files: impl Fn(&str) -> Option<Asset>, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    let unknown = || ApiError::UnknownPath { path: path.to_owned() }.into_response();
    if !matches!(*method, Method::GET | Method::HEAD) || ["/api", "/v1"].iter().any(|room| is_within(path, room)) {
        return unknown();
    }
    let name = path.trim_start_matches('/');
    if !name.is_empty()
        && let Some(asset) = files(name)
    {
        return answer(&files, name, asset, headers);
    }
    if !is_page(name, headers) {
        return unknown();
    }
    match files(PAGE) {
        Some(asset) => answer(&files, PAGE, asset, headers),
        None => unknown(),
    }
}

fn is_within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path without a file may be a route of the UI: not a missing script or picture (for which a page would be
/// a puzzling answer), and asked by someone who takes HTML. A dot alone does not make a file: ids may have one.
fn is_page(name: &str, headers: &HeaderMap) -> bool {
    const FILES: [&str; 17] =
        ["css", "gif", "gz", "html", "ico", "jpg", "js", "json", "map", "mjs", "php", "png", "svg", "txt", "webmanifest", "woff2", "xml"];
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_file = name.starts_with(HASHED) || extension.is_some_and(|extension| FILES.contains(&extension.as_str()));
    let takes_html = match header_text(headers, &header::ACCEPT) {
        None => true,
        Some(accept) => accept.contains("text/html") || accept.contains("*/*"),
    };
    !is_file && takes_html
}

fn answer(files: impl Fn(&str) -> Option<Asset>, name: &str, asset: Asset, headers: &HeaderMap) -> Response {
    // Weak, as the same file may be sent compressed or not.
    let tag = format!("W/\"{}\"", hex(&asset.sha256[..16]));
    let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [(header::ETAG, text_value(&tag)), (header::CACHE_CONTROL, HeaderValue::from_static(cache))];
    if header_text(headers, &header::IF_NONE_MATCH).is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let content_type = match asset.content_type.as_str() {
        text @ ("text/html" | "text/css" | "text/javascript" | "text/plain") => text_value(&format!("{text}; charset=utf-8")),
        other => text_value(other),
    };
    let typed = [(header::CONTENT_TYPE, content_type)];
    let accepted = header_text(headers, &header::ACCEPT_ENCODING).unwrap_or("");
    for (encoding, extension) in COMPRESSED {
        if accepts(accepted, encoding)
            && let Some(compressed) = files(&format!("{name}{extension}"))
        {
            let encoded = [(header::CONTENT_ENCODING, encoding), (header::VARY, "accept-encoding")];
            return (common, typed, encoded, compressed.bytes).into_response();
        }
    }
    (common, typed, asset.bytes).into_response()
}

/// Whether an `accept-encoding` header names `encoding` without forbidding it.
fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32)))
    })
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a media type or an entity tag is visible ASCII")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
