//! One of each span: senders retry, and pipelines double.

use std::collections::HashMap;

use needle_storage::model::{Span, SpanId, SpanKind, TraceId, UnixNanos};

/// A span with what is odd about it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) span: Box<Span>,
    pub(super) flags: Vec<&'static str>,
}

/// Merges identical copies, given in time order; those that differ are kept and flagged. Zipkin's client and server share the
/// id, and are not copies.
#[expect(clippy::vec_box, reason = "they come and go in their boxes")]
pub(super) fn merge(spans: Vec<Box<Span>>) -> Vec<Received> {
    type Identity = (Option<TraceId>, Option<SpanId>, SpanKind, UnixNanos);
    let mut kept: Vec<Received> = Vec::with_capacity(spans.len());
    let mut by_identity: HashMap<Identity, Vec<usize>, ahash::RandomState> = HashMap::default();
    for span in spans {
        let common = &span.common;
        let identity = (common.trace_id, common.span_id, span.kind, common.time);
        let same = by_identity.entry(identity).or_default();
        if span.common.span_id.is_some() && same.iter().any(|&index| is_copy(&kept[index].span, &span)) {
            continue;
        }
        same.push(kept.len());
        kept.push(Received { span, flags: Vec::new() });
    }
    flag_conflicts(&mut kept);
    kept
}

fn is_copy(a: &Span, b: &Span) -> bool {
    let mut b = b.clone();
    b.common.record_id = a.common.record_id;
    *a == b
}

/// Spans of one id and one kind that are not copies of each other.
fn flag_conflicts(spans: &mut [Received]) {
    let mut by_id: HashMap<(Option<TraceId>, SpanId, i32), Vec<usize>, ahash::RandomState> = HashMap::default();
    for (index, Received { span, .. }) in spans.iter().enumerate() {
        if let Some(span_id) = span.common.span_id {
            by_id.entry((span.common.trace_id, span_id, span.kind.0)).or_default().push(index);
        }
    }
    for same in by_id.into_values().filter(|same| same.len() > 1) {
        same.into_iter().for_each(|index| spans[index].flags.push("conflict"));
    }
}
