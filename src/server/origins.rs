//! Pages of other sites: which may send records from a browser, and that no other may do anything.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderValue, ORIGIN, VARY,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

/// What exporters in browsers send along.
const ALLOWED_HEADERS: &str = "content-type, content-encoding, authorization, traceparent, tracestate, idempotency-key";
/// Seconds for which a browser need not ask again.
const MAX_AGE_SECONDS: &str = "7200";

/// The sites whose pages may send records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Reads `https://shop.example`, and says what is wrong with anything else.
    pub(crate) fn new(origins: &[String]) -> Result<Origins, String> {
        let read = |text: &String| {
            let uri: Option<Uri> = text.parse().ok();
            let is_origin = uri.is_some_and(|uri| {
                let bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/") && !text.ends_with('/');
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && bare && !text.contains(['@', '*'])
            });
            match HeaderValue::from_str(text) {
                Ok(value) if is_origin => Ok(value),
                _ => Err(format!(
                    "cors_origins: {text:?} is no origin: give each like https://shop.example, with scheme and without a path or *"
                )),
            }
        };
        Ok(Origins(origins.iter().map(read).collect::<Result<_, _>>()?))
    }

    fn allows(&self, headers: &HeaderMap) -> Option<&HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.0.iter().find(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }

    /// Whether a request that changes something was made by a page of this server, by one that may, or by no page at all.
    pub(super) fn may_change(&self, request: &Request) -> bool {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return true;
        }
        let headers = request.headers();
        if self.allows(headers).is_some() || headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin" || site == "none") {
            return true;
        }
        // Browsers name the site on every such request, if not by Fetch Metadata, then by Origin.
        !headers.contains_key("sec-fetch-site") && headers.get(ORIGIN).is_none_or(|origin| is_own(origin, request))
    }

    /// Whether the page that made a request is certainly one of this server's. Without a word about it, it is not.
    pub(super) fn is_own_page(request: &Request) -> bool {
        match request.headers().get("sec-fetch-site") {
            Some(site) => site == "same-origin",
            None => request.headers().get(ORIGIN).is_some_and(|origin| is_own(origin, request)),
        }
    }
}

/// Whether an origin names the host that the request was sent to.
fn is_own(origin: &HeaderValue, request: &Request) -> bool {
    let host = host_of(request);
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

/// The host and port that a request was sent to.
pub(super) fn host_of(request: &Request) -> Option<&str> {
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    authority.or_else(|| request.headers().get(HOST).and_then(|host| host.to_str().ok()))
}

/// A layer for routes that pages of other sites may send to. Nothing is said to any other site, and cookies are never meant.
pub(super) async fn share(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let Some(origin) = origins.allows(request.headers()).cloned() else { return next.run(request).await };
    let is_preflight = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
        response
    } else {
        let mut response = next.run(request).await;
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        response
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(headers: &[(&str, &str)]) -> Request {
        let request = Request::builder().method("POST").uri("/v1/logs").header("host", "needle.example:4318");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(Body::empty()).unwrap()
    }

    #[test]
    fn only_whole_origins_are_taken() {
        assert!(Origins::new(&["https://shop.example".to_owned(), "http://localhost:3000".to_owned()]).is_ok());
        for bad in ["*", "https://*.example", "shop.example", "https://shop.example/", "https://shop.example/x", "ftp://a", "", "null"] {
            assert!(Origins::new(&[bad.to_owned()]).is_err_and(|problem| problem.contains(&format!("{bad:?}"))), "{bad}");
        }
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let origins = Origins::new(&["https://shop.example".to_owned()]).unwrap();
        for (headers, may) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://needle.example:4318")], true),
            (&[("origin", "http://needle.example:4318")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "http://needle.example:7117")], false),
            (&[("origin", "null")], false),
        ] {
            assert_eq!(origins.may_change(&post(headers)), may, "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_counts_only_from_a_page_of_our_own() {
        for (headers, own) in [
            (&[][..], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("origin", "http://needle.example:4318")], true),
            (&[("origin", "https://shop.example")], false),
        ] {
            assert_eq!(Origins::is_own_page(&post(headers)), own, "{headers:?}");
        }
    }
}
