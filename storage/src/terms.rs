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

    /// The rows that carry one of them. Keys are compared first: they cost no allocation, and rows of one journey, with
    /// the same ids, follow each other.
    pub(crate) fn rows(&self, view: &RecordsView<'_>) -> Vec<u32> {
        let mut last_trace: Option<(TraceId, bool)> = None;
        let mut last_request: Option<(&str, bool)> = None;
        let mut rows = Vec::new();
        for row in 0..view.len() {
            let mut may_carry = view.span_id(row).is_some_and(|span| self.keys.contains(&IdKey::of_span(span)));
            if let Some(trace) = view.trace_id(row) {
                let known = last_trace.filter(|(last, _)| *last == trace).map(|(_, wanted)| wanted);
                let wanted = known.unwrap_or_else(|| self.keys.contains(&IdKey::of_trace(trace)));
                last_trace = Some((trace, wanted));
                may_carry |= wanted;
            }
            for id in view.request_ids(row) {
                let known = last_request.filter(|(text, _)| *text == id).map(|(_, wanted)| wanted);
                let wanted = known.unwrap_or_else(|| NormalId::of(id).is_some_and(|id| self.keys.contains(&id.key())));
                last_request = Some((id, wanted));
                may_carry |= wanted;
            }
            for_each_linked_trace(view, row, |trace| may_carry |= self.keys.contains(&IdKey::of_trace(trace)));
            if may_carry {
                let mut carries = false;
                for_each_id_term(view, row, |term| carries |= self.terms.contains(&term));
                if carries {
                    rows.push(row as u32);
                }
            }
        }
        rows
    }
}
