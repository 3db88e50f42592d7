//! The answers to an export that was accepted, wholly or in part.

use needle_storage::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde_json::json;

use crate::admit::Rejections;
use crate::pipeline::Acknowledgement;

/// An OTLP message never tells more than this many reasons.
const REASONS_TOLD_MAX: usize = 10;
/// A reason is told up to this many characters.
const REASON_CHARS_MAX: usize = 300;

/// What the records of a signal are called.
pub(crate) fn noun(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "log records",
        Signal::Spans => "spans",
    }
}

/// The export response in protobuf: no bytes at all for full success.
pub(crate) fn protobuf(signal: Signal, acknowledgement: &Acknowledgement) -> Vec<u8> {
    let partial = explain(signal, acknowledgement).map(|message| (acknowledgement.rejections.count as i64, message));
    match signal {
        Signal::Logs => {
            let partial_success =
                partial.map(|(rejected_log_records, error_message)| ExportLogsPartialSuccess { rejected_log_records, error_message });
            ExportLogsServiceResponse { partial_success }.encode_to_vec()
        }
        Signal::Spans => {
            let partial_success =
                partial.map(|(rejected_spans, error_message)| ExportTracePartialSuccess { rejected_spans, error_message });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        }
    }
}

/// The export response in JSON: `{}` for full success.
pub(crate) fn json(signal: Signal, acknowledgement: &Acknowledgement) -> Vec<u8> {
    let Some(message) = explain(signal, acknowledgement) else { return b"{}".to_vec() };
    // ProtoJSON writes 64-bit integers as strings.
    let count = acknowledgement.rejections.count.to_string();
    let partial = match signal {
        Signal::Logs => json!({"rejectedLogRecords": count, "errorMessage": message}),
        Signal::Spans => json!({"rejectedSpans": count, "errorMessage": message}),
    };
    json!({"partialSuccess": partial}).to_string().into_bytes()
}

/// `3 spans were rejected: number 0: trace_id is all zero, ...; number 4: ...`
/// A warning alone when all were stored; none for full success.
fn explain(signal: Signal, acknowledgement: &Acknowledgement) -> Option<String> {
    let Acknowledgement { rejections, warning, .. } = acknowledgement;
    let rejected =
        (rejections.count > 0).then(|| format!("{} {} rejected: {}", rejections.count, noun(signal), reasons("number", rejections)));
    let parts: Vec<String> = rejected.into_iter().chain(Some(warning.clone()).filter(|warning| !warning.is_empty())).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The first reasons, with the place of each record.
pub(crate) fn reasons(place: &str, rejections: &Rejections) -> String {
    let told: Vec<String> = rejections
        .first
        .iter()
        .take(REASONS_TOLD_MAX)
        .map(|rejection| format!("{place} {}: {}", rejection.place, rejection.reason.chars().take(REASON_CHARS_MAX).collect::<String>()))
        .collect();
    let untold = rejections.count - told.len();
    let more = if untold > 0 { format!("; and {untold} more") } else { String::new() };
    format!("{}{more}", told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejections(count: usize) -> Rejections {
        let mut rejections = Rejections::default();
        (0..count).for_each(|place| rejections.add(place, "x".repeat(100_000)));
        rejections
    }

    fn answer(rejections: Rejections, warning: &str) -> Acknowledgement {
        Acknowledgement { accepted: 1, rejections, warning: warning.to_owned() }
    }

    #[test]
    fn a_warning_rejects_nothing() {
        let warned = answer(Rejections::default(), "beware");
        let response = ExportLogsServiceResponse::decode(protobuf(Signal::Logs, &warned).as_slice()).unwrap();
        let partial = response.partial_success.unwrap();
        assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (0, "beware"));
    }

    #[test]
    fn otlp_30_full_success_is_an_empty_response() {
        for signal in Signal::ALL {
            assert!(protobuf(signal, &answer(Rejections::default(), "")).is_empty());
            assert_eq!(json(signal, &answer(Rejections::default(), "")), b"{}");
        }
    }

    #[test]
    fn otlp_34_partial_success_counts_and_explains() {
        let mut some = Rejections::default();
        some.add(4, "trace_id is all zero");
        let response = ExportTraceServiceResponse::decode(protobuf(Signal::Spans, &answer(some.clone(), "")).as_slice()).unwrap();
        let partial = response.partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert_eq!(partial.error_message, "1 spans rejected: number 4: trace_id is all zero");
        let value: serde_json::Value = serde_json::from_slice(&json(Signal::Logs, &answer(some, ""))).unwrap();
        assert_eq!(value["partialSuccess"]["rejectedLogRecords"], "1");
    }

    #[test]
    fn otlp_28_a_response_stays_small_however_many_records_are_rejected() {
        for count in [11, 100_000] {
            assert!(protobuf(Signal::Logs, &answer(rejections(count.min(900)), "")).len() < 64 << 10);
        }
        assert!(reasons("line", &rejections(11)).ends_with("; and 1 more"));
    }
}
