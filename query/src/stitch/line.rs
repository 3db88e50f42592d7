//! A log record as far as stitching looks at it. A journey may have a million of them, so what many share is held once,
//! and what they say is not held at all.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use needle_storage::RecordPlace;
use needle_storage::model::{Attributes, Common, Log, NormalId, RecordId, Span, SpanId, TraceId, UnixNanos};

use super::bar::{Bar, Whole};
use super::tree::{self, Process};
use super::{LOG_KEYS, SPAN_KEYS};

/// When and where a log was written.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) record_id: RecordId,
    /// Where the whole of it lies, if that was not read yet.
    pub(crate) place: Option<RecordPlace>,
    pub(crate) time: UnixNanos,
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) is_error: bool,
    pub(super) source: Arc<Source>,
    /// Those of [`LOG_KEYS`].
    pub(super) attributes: Attributes,
}

/// Who writes, or works, on whose behalf.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) service: Arc<str>,
    pub(super) process: Arc<Process>,
    /// As spelled.
    pub(super) request_ids: Vec<String>,
    /// Their normal forms.
    pub(super) ids: Vec<NormalId>,
    pub(super) resource: Arc<Attributes>,
}

/// Whether all lines say that they were written in one span.
pub(super) fn of_one_span(lines: &[Line]) -> bool {
    lines.first().is_some_and(|first| first.span_id.is_some() && lines.iter().all(|line| line.span_id == first.span_id))
}

/// The sources of a journey's records, each once.
#[derive(Default)]
pub(super) struct Sources {
    known: IndexMap<SourceKey, Arc<Source>, ahash::RandomState>,
    /// By the resource, which is known by its address: the sources keep it there.
    processes: HashMap<usize, Arc<Process>, ahash::RandomState>,
    /// Names of services and spans.
    names: HashSet<Arc<str>, ahash::RandomState>,
}

#[derive(PartialEq, Eq, Hash)]
struct SourceKey {
    service: Arc<str>,
    resource: usize,
    request_ids: Vec<String>,
    process: Arc<Process>,
}

#[derive(Hash)]
struct BorrowedKey<'a> {
    service: &'a str,
    resource: usize,
    request_ids: &'a [String],
    process: &'a Process,
}

impl Equivalent<SourceKey> for BorrowedKey<'_> {
    fn equivalent(&self, key: &SourceKey) -> bool {
        self.resource == key.resource
            && *self.service == *key.service
            && self.request_ids == key.request_ids
            && *self.process == *key.process
    }
}

impl Sources {
    /// The line of a log.
    pub(super) fn line(&mut self, log: &Log, place: Option<RecordPlace>) -> Line {
        let common = &log.common;
        let attributes: Attributes = common.attributes.iter().filter(|(key, _)| LOG_KEYS.contains(&key.as_str())).cloned().collect();
        Line {
            record_id: common.record_id,
            place,
            time: common.time,
            trace_id: common.trace_id,
            span_id: common.span_id,
            is_error: log.severity.is_error(),
            source: self.source(common, &attributes),
            attributes,
        }
    }

    /// The bar of a span.
    pub(super) fn bar(&mut self, span: Box<Span>, place: Option<RecordPlace>) -> Bar {
        let common = &span.common;
        let attributes: Attributes = common.attributes.iter().filter(|(key, _)| SPAN_KEYS.contains(&key.as_str())).cloned().collect();
        Bar {
            record_id: common.record_id,
            trace_id: common.trace_id,
            span_id: common.span_id,
            parent_span_id: span.parent_span_id,
            start: common.time,
            duration_ns: span.duration_ns,
            kind: span.kind,
            status: span.status,
            name: self.named(&span.name),
            source: self.source(common, &attributes),
            attributes,
            links: span.links.clone(),
            whole: place.map_or_else(|| Whole::Here(span), Whole::At),
        }
    }

    fn named(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }

    fn source(&mut self, common: &Common, attributes: &Attributes) -> Arc<Source> {
        let resource = Arc::as_ptr(&common.resource) as usize;
        let own;
        let process = if attributes.iter().any(|(key, _)| tree::keys().any(|process_key| process_key == key)) {
            own = Arc::new(Process::of(&common.resource, attributes));
            &own
        } else {
            self.processes.entry(resource).or_insert_with(|| Arc::new(Process::of(&common.resource, &[])))
        };
        let key = BorrowedKey { service: &common.service, resource, request_ids: &common.request_ids, process };
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let process = process.clone();
        let service = self.named(&common.service);
        let source = Arc::new(Source {
            service: service.clone(),
            process: process.clone(),
            request_ids: common.request_ids.clone(),
            ids: common.request_ids.iter().filter_map(|id| NormalId::of(id)).collect(),
            resource: common.resource.clone(),
        });
        let request_ids = common.request_ids.clone();
        self.known.insert(SourceKey { service, resource, request_ids, process }, source.clone());
        source
    }
}
