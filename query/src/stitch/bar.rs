//! A span as far as stitching looks at it. A journey may have a million of them, so what many share is held once, and what
//! else they say is not held unless it was read anyway.

use std::sync::Arc;

use needle_storage::RecordPlace;
use needle_storage::model::{Attributes, Link, RecordId, Span, SpanId, SpanKind, StatusCode, TraceId, UnixNanos};

use super::line::Source;

/// When and where a span was at work, and below which.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) record_id: RecordId,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(super) parent_span_id: Option<SpanId>,
    pub(super) start: UnixNanos,
    pub(super) duration_ns: i64,
    pub(super) kind: SpanKind,
    pub(super) status: StatusCode,
    pub(super) name: Arc<str>,
    pub(super) source: Arc<Source>,
    /// Those of [`SPAN_KEYS`](super::SPAN_KEYS).
    pub(super) attributes: Attributes,
    pub(super) links: Vec<Link>,
    pub(crate) whole: Whole,
}

/// All that a span says, or where that lies.
#[derive(Clone, Debug)]
pub(crate) enum Whole {
    Here(Box<Span>),
    At(RecordPlace),
}

impl Bar {
    /// When it ended; not before it began.
    pub(super) fn end(&self) -> UnixNanos {
        self.start.saturating_add_signed(self.duration_ns).max(self.start)
    }

    /// Whether two that share their ids, kind and start say the same.
    pub(super) fn is_copy_of(&self, other: &Bar) -> bool {
        match (&self.whole, &other.whole) {
            (Whole::Here(own), Whole::Here(others)) => {
                let mut others = others.clone();
                others.common.record_id = own.common.record_id;
                *own == others
            }
            // The whole of one cannot be read.
            _ => {
                let said = |bar: &Bar| (bar.duration_ns, bar.parent_span_id, bar.status, bar.name.clone(), bar.source.service.clone());
                said(self) == said(other) && self.attributes == other.attributes && self.links == other.links
            }
        }
    }
}
