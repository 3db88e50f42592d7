use http_body_util::BodyExt;

use super::*;

fn files(path: &str) -> Option<Asset> {
    let (content_type, text) = match path {
        "index.html" => ("text/html", "<p>page"),
        "favicon.svg" => ("image/svg+xml", "<svg/>"),
        "assets/index-1a2b.js" => ("text/javascript", "run()"),
        "assets/index-1a2b.js.br" => ("application/octet-stream", "brotli"),
        _ => return None,
    };
    Some(Asset { bytes: Cow::Borrowed(text.as_bytes()), content_type: content_type.to_owned(), sha256: [7; 32] })
}

fn get(path: &str, headers: &[(HeaderName, &'static str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
    respond(files, &Method::GET, path, &headers)
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn every_route_of_the_ui_opens_the_page() {
    let browser = [(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")];
    for path in ["/", "/index.html", "/journey/req-1.2", "/search", "/journey/a%2Fb", "/apiary", "/tail/"] {
        for headers in [&browser[..], &[]] {
            let response = get(path, headers);
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            assert_eq!(text(response).await, "<p>page");
        }
    }
}

#[tokio::test]
async fn what_is_neither_file_nor_page_is_a_json_404() {
    for path in ["/api", "/api/v1/nothing", "/api/v2/search", "/v1/metrics", "/assets/gone-1.js", "/robots.txt", "/a/app.js.map"] {
        let response = get(path, &[]);
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert!(body["error"]["message"].as_str().unwrap().contains(path), "{body}");
    }
    assert_eq!(get("/search", &[(header::ACCEPT, "application/json")]).status(), StatusCode::NOT_FOUND);
    assert_eq!(respond(files, &Method::POST, "/", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
}

#[test]
fn a_hashed_file_is_kept_for_ever() {
    let response = get("/assets/index-1a2b.js", &[]);
    assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(get("/favicon.svg", &[]).headers()[header::CACHE_CONTROL], "no-cache");
}

#[tokio::test]
async fn a_known_page_is_not_sent_again() {
    let tag = get("/", &[]).headers()[header::ETAG].to_str().unwrap().to_owned();
    let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(&format!("\"x\", {tag}")).unwrap())]);
    let response = respond(files, &Method::GET, "/search", &known);
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(response.headers()[header::ETAG], tag);
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_compressed_copy_is_sent_to_those_who_take_it() {
    let response = get("/assets/index-1a2b.js", &[(header::ACCEPT_ENCODING, "gzip, br")]);
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(text(response).await, "brotli");
    for refused in ["gzip", "br;q=0, gzip", "identity"] {
        let response = get("/assets/index-1a2b.js", &[(header::ACCEPT_ENCODING, refused)]);
        assert_eq!(text(response).await, "run()", "{refused}");
    }
}
