//! The terms a record is found by. Indexes are built from them and scans verify with them, so that a
//! record is found the same way live and sealed.

use std::collections::HashSet;

use crate::model::{IdKey, IdTerm, NormalId, RecordsView, TraceId, Value};

/// Calls `visit` with the term of every id a record carries: its trace (also by its low half), its span,
/// its request ids, and the traces its links name.
pub(crate) fn for_each_id_term(view: &RecordsView<'_>, row: usize, mut visit: impl FnMut(IdTerm)) {
    if let Some(trace) = view.trace_id(row) {
        let normal = NormalId::of_trace(trace);
        normal.low_half_term().into_iter().for_each(&mut visit);
        visit(normal.term());
    }
    view.span_id(row).map(IdTerm::of_span).into_iter().for_each(&mut visit);
    view.request_ids(row).filter_map(NormalId::of).for_each(|id| visit(id.term()));
    for_each_linked_trace(view, row, |trace| visit(IdTerm::of_link(&NormalId::of_trace(trace))));
}

/// Calls `visit` with the keys a record is found by: those of its trace, its span, its request ids, and the
/// traces its links name. For each term of [`for_each_id_term`], one of its [`IdTerm::keys`] is among them.
pub(crate) fn for_each_id_key(view: &RecordsView<'_>, row: usize, mut visit: impl FnMut(IdKey)) {
    view.trace_id(row).map(IdKey::of_trace).into_iter().for_each(&mut visit);
    view.span_id(row).map(IdKey::of_span).into_iter().for_each(&mut visit);
    view.request_ids(row).filter_map(NormalId::of).for_each(|id| visit(id.key()));
    for_each_linked_trace(view, row, |trace| visit(IdKey::of_trace(trace)));
}

/// Calls `visit` with the traces that the links of a span name.
pub(crate) fn for_each_linked_trace(view: &RecordsView<'_>, row: usize, visit: impl FnMut(TraceId)) {
    if let Some(Ok(Value::Array(links))) = view.links_json(row).map(Value::from_json) {
        let trace = |link: &Value| link.get("trace_id").and_then(Value::as_str).and_then(TraceId::from_hex);
        links.iter().filter_map(trace).for_each(visit);
    }
}

/// Ids to look for among rows.
pub(crate) struct WantedIds {
    terms: HashSet<IdTerm>,
    keys: HashSet<IdKey>,
}

impl WantedIds {
    /// Any of these.
    pub(crate) fn new(terms: &[IdTerm]) -> WantedIds {
        WantedIds { terms: terms.iter().cloned().collect(), keys: terms.iter().flat_map(IdTerm::keys).collect() }
    }

    /// The rows that carry one of them.
    pub(crate) fn rows(&self, view: &RecordsView<'_>) -> Vec<u32> {
        let (mut trace, mut request) = (Latest::default(), Latest::default());
        let mut carries = |row: usize| {
            let by_trace = |id: TraceId| trace.of(id, || self.has_trace(id));
            view.trace_id(row).is_some_and(by_trace)
                || view.span_id(row).is_some_and(|id| self.has(IdKey::of_span(id), || IdTerm::of_span(id)))
                || view.request_ids(row).any(|text| request.of(text, || self.has_request(text)))
                || self.has_linked_trace(view, row)
        };
        (0..view.len()).filter(|row| carries(*row)).map(|row| row as u32).collect()
    }

    /// Keys are compared first: they cost no allocation.
    fn has(&self, key: IdKey, term: impl FnOnce() -> IdTerm) -> bool {
        self.keys.contains(&key) && self.terms.contains(&term())
    }

    fn has_trace(&self, trace: TraceId) -> bool {
        let has_term = || {
            let normal = NormalId::of_trace(trace);
            self.terms.contains(&normal.term()) || normal.low_half_term().is_some_and(|half| self.terms.contains(&half))
        };
        self.keys.contains(&IdKey::of_trace(trace)) && has_term()
    }

    fn has_request(&self, text: &str) -> bool {
        NormalId::of(text).is_some_and(|id| self.has(id.key(), || id.term()))
    }

    fn has_linked_trace(&self, view: &RecordsView<'_>, row: usize) -> bool {
        let mut has = false;
        for_each_linked_trace(view, row, |trace| has |= self.has(IdKey::of_trace(trace), || IdTerm::of_link(&NormalId::of_trace(trace))));
        has
    }
}

/// What was found out about the latest id: rows of one journey, with the same ids, follow each other.
struct Latest<T>(Option<(T, bool)>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Latest(None)
    }
}

impl<T: PartialEq + Copy> Latest<T> {
    fn of(&mut self, id: T, find_out: impl FnOnce() -> bool) -> bool {
        let known = self.0.filter(|(latest, _)| *latest == id).map(|(_, wanted)| wanted);
        let wanted = known.unwrap_or_else(find_out);
        self.0 = Some((id, wanted));
        wanted
    }
}
