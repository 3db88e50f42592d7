//! The answers to an export that was accepted, wholly or in part.

use needle_storage::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde_json::json;

use crate::admit::Rejections;

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
pub(crate) fn protobuf(signal: Signal, rejections: &Rejections) -> Vec<u8> {
    let partial = (rejections.count > 0).then(|| (rejections.count as i64, explain(signal, rejections)));
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
pub(crate) fn json(signal: Signal, rejections: &Rejections) -> Vec<u8> {
    if rejections.count == 0 {
        return b"{}".to_vec();
    }
    // ProtoJSON writes 64-bit integers as strings.
    let (count, message) = (rejections.count.to_string(), explain(signal, rejections));
    let partial = match signal {
        Signal::Logs => json!({"rejectedLogRecords": count, "errorMessage": message}),
        Signal::Spans => json!({"rejectedSpans": count, "errorMessage": message}),
    };
    json!({"partialSuccess": partial}).to_string().into_bytes()
}

/// `3 spans were rejected: number 0: trace_id is all zero, ...; number 4: ...`
fn explain(signal: Signal, rejections: &Rejections) -> String {
    format!("{} {} rejected: {}", rejections.count, noun(signal), reasons("number", rejections))
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

    #[test]
    fn otlp_30_full_success_is_an_empty_response() {
        for signal in Signal::ALL {
            assert!(protobuf(signal, &Rejections::default()).is_empty());
            assert_eq!(json(signal, &Rejections::default()), b"{}");
        }
    }

    #[test]
    fn otlp_34_partial_success_counts_and_explains() {
        let mut some = Rejections::default();
        some.add(4, "trace_id is all zero");
        let response = ExportTraceServiceResponse::decode(protobuf(Signal::Spans, &some).as_slice()).unwrap();
        let partial = response.partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert_eq!(partial.error_message, "1 spans rejected: number 4: trace_id is all zero");
        let value: serde_json::Value = serde_json::from_slice(&json(Signal::Logs, &some)).unwrap();
        assert_eq!(value["partialSuccess"]["rejectedLogRecords"], "1");
    }

    #[test]
    fn otlp_28_a_response_stays_small_however_many_records_are_rejected() {
        for count in [11, 100_000] {
            assert!(protobuf(Signal::Logs, &rejections(count.min(900))).len() < 64 << 10);
        }
        assert!(reasons("line", &rejections(11)).ends_with("; and 1 more"));
    }
}
