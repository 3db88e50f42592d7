//! The two text forms of metrics: OpenMetrics, which the registry writes, and the older Prometheus text
//! (exposition format 0.0.4), in which a counter's name ends in `_total` also in its `HELP` and `TYPE` lines.

use std::borrow::Cow;
use std::collections::HashSet;

use axum::http::HeaderValue;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// The registry in the form that one of the `accept` headers asks for, with its content type.
pub(super) fn write<'a>(registry: &Registry, mut accept: impl Iterator<Item = &'a str>) -> (HeaderValue, String) {
    let mut text = String::new();
    encode(&mut text, registry).expect("writing to a string does not fail");
    if accept.any(|header| header.contains(OPEN_METRICS)) {
        return (HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"), text);
    }
    (HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"), prometheus_text(&text))
}

fn prometheus_text(open_metrics: &str) -> String {
    let of_kind = |kind: &str| open_metrics.lines().filter_map(move |line| line.strip_prefix("# TYPE ")?.strip_suffix(kind)).collect();
    let (counters, infos): (HashSet<&str>, HashSet<&str>) = (of_kind(" counter"), of_kind(" info"));
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter_map(|line| prometheus_line(line, &counters, &infos)) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A line in the older form; none for what it does not have.
fn prometheus_line<'a>(line: &'a str, counters: &HashSet<&str>, infos: &HashSet<&str>) -> Option<Cow<'a, str>> {
    if line == "# EOF" || line.starts_with("# UNIT ") {
        return None;
    }
    for keyword in ["# HELP ", "# TYPE "] {
        let Some((name, rest)) = line.strip_prefix(keyword).and_then(|line| line.split_once(' ')) else { continue };
        if counters.contains(name) {
            return Some(Cow::Owned(format!("{keyword}{name}_total {rest}")));
        }
        if infos.contains(name) {
            // Facts about the program are a gauge there, always 1.
            let rest = if keyword == "# TYPE " { "gauge" } else { rest };
            return Some(Cow::Owned(format!("{keyword}{name}_info {rest}")));
        }
    }
    Some(Cow::Borrowed(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::WebMetrics;
    use axum::http::{Method, StatusCode};
    use std::time::Duration;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let metrics = WebMetrics::register(&mut registry);
        metrics.answered("/healthz", &Method::GET, StatusCode::OK, Duration::from_millis(2));
        metrics.panicked();
        registry
    }

    #[test]
    fn prometheus_text_names_counters_in_full() {
        let (content_type, text) = write(&registry(), ["*/*"].into_iter());
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        for line in [
            "# TYPE needle_http_requests_total counter",
            "needle_http_requests_total{route=\"/healthz\",method=\"GET\",status=\"200\"} 1",
            "# TYPE needle_http_request_duration_seconds histogram",
            "needle_http_request_duration_seconds_bucket{le=\"0.0025\",route=\"/healthz\"} 1",
            "needle_http_request_duration_seconds_count{route=\"/healthz\"} 1",
            "needle_http_panics_total 1",
            "# TYPE needle_http_tails gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
    }

    #[test]
    fn open_metrics_is_written_for_those_who_ask() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3";
        let (content_type, text) = write(&registry(), [accept].into_iter());
        assert!(content_type.to_str().unwrap().starts_with(OPEN_METRICS));
        assert!(text.ends_with("# EOF\n") && text.contains("# TYPE needle_http_requests counter"), "{text}");
    }
}
