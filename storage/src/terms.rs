//! The terms a record is found by. Indexes are built from them and scans verify with them, so that a
//! record is found the same way live and sealed.

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
