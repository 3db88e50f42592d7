//! The terms a record is found by. Indexes are built from them and scans verify with them, so that a
//! record is found the same way live and sealed.

use crate::model::{IdTerm, NormalId, RecordsView, TraceId, Value};

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
    if let Some(Ok(Value::Array(links))) = view.links_json(row).map(Value::from_json) {
        for link in &links {
            let trace = link.get("trace_id").and_then(Value::as_str).and_then(TraceId::from_hex);
            if let Some(trace) = trace {
                visit(IdTerm::of_link(&NormalId::of_trace(trace)));
            }
        }
    }
}

/// The term by which the records of a journey are kept together: the trace, else the first request id.
pub(crate) fn journey_term(view: &RecordsView<'_>, row: usize) -> Option<IdTerm> {
    let id = view.trace_id(row).map(NormalId::of_trace).or_else(|| view.request_ids(row).find_map(NormalId::of));
    id.map(|id| id.term())
}
