//! A log record as far as stitching looks at it. A journey may have a million of them, so what many share is held once,
//! and what they say is not held at all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use needle_storage::RecordPlace;
use needle_storage::model::{Attributes, Log, NormalId, RecordId, SpanId, TraceId, UnixNanos};

use super::LOG_KEYS;
use super::tree::{self, Process};

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

/// Who writes, on whose behalf.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) service: String,
    pub(super) process: Process,
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

/// The sources of a journey's lines, each once.
#[derive(Default)]
pub(super) struct Sources {
    known: IndexMap<SourceKey, Arc<Source>, ahash::RandomState>,
    /// By the resource, which is known by its address: the sources keep it there.
    processes: HashMap<usize, Process, ahash::RandomState>,
}

#[derive(PartialEq, Eq, Hash)]
struct SourceKey {
    service: String,
    resource: usize,
    request_ids: Vec<String>,
    process: Process,
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
        self.resource == key.resource && self.service == key.service && self.request_ids == key.request_ids && *self.process == key.process
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
            source: self.source(log, &attributes),
            attributes,
        }
    }

    fn source(&mut self, log: &Log, attributes: &Attributes) -> Arc<Source> {
        let common = &log.common;
        let resource = Arc::as_ptr(&common.resource) as usize;
        let own;
        let process = if attributes.iter().any(|(key, _)| tree::keys().any(|process_key| process_key == key)) {
            own = Process::of(&common.resource, attributes);
            &own
        } else {
            self.processes.entry(resource).or_insert_with(|| Process::of(&common.resource, &[]))
        };
        let key = BorrowedKey { service: &common.service, resource, request_ids: &common.request_ids, process };
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let source = Arc::new(Source {
            service: common.service.clone(),
            process: process.clone(),
            request_ids: common.request_ids.clone(),
            ids: common.request_ids.iter().filter_map(|id| NormalId::of(id)).collect(),
            resource: common.resource.clone(),
        });
        let (service, request_ids, process) = (common.service.clone(), common.request_ids.clone(), process.clone());
        self.known.insert(SourceKey { service, resource, request_ids, process }, source.clone());
        source
    }
}
