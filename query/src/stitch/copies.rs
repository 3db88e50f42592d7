//! One of each span: senders retry, and pipelines double.

use std::collections::HashMap;

use needle_storage::model::{SpanId, SpanKind, TraceId, UnixNanos};

use super::bar::Bar;

/// A span with what is odd about it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) span: Bar,
    pub(super) flags: Vec<&'static str>,
}

/// Merges identical copies, given in time order; those that differ are kept and flagged. Zipkin's client and server share the
/// id, and are not copies.
pub(super) fn merge(spans: Vec<Bar>) -> Vec<Received> {
    type Identity = (Option<TraceId>, Option<SpanId>, SpanKind, UnixNanos);
    let mut kept: Vec<Received> = Vec::with_capacity(spans.len());
    let mut by_identity: HashMap<Identity, Vec<usize>, ahash::RandomState> = HashMap::default();
    for span in spans {
        let identity = (span.trace_id, span.span_id, span.kind, span.start);
        let same = by_identity.entry(identity).or_default();
        if span.span_id.is_some() && same.iter().any(|&index| kept[index].span.is_copy_of(&span)) {
            continue;
        }
        same.push(kept.len());
        kept.push(Received { span, flags: Vec::new() });
    }
    flag_conflicts(&mut kept);
    kept
}

/// Spans of one id and one kind that are not copies of each other.
fn flag_conflicts(spans: &mut [Received]) {
    let mut by_id: HashMap<(Option<TraceId>, SpanId, i32), Vec<usize>, ahash::RandomState> = HashMap::default();
    for (index, Received { span, .. }) in spans.iter().enumerate() {
        if let Some(span_id) = span.span_id {
            by_id.entry((span.trace_id, span_id, span.kind.0)).or_default().push(index);
        }
    }
    for same in by_id.into_values().filter(|same| same.len() > 1) {
        same.into_iter().for_each(|index| spans[index].flags.push("conflict"));
    }
}
