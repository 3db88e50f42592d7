//! Metrics, where the settings say that they are taken and thrown away: for senders whose exporter of metrics cannot be
//! switched off. Their data points are counted, and the answer says that they were rejected.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde_json::json;
use serde_json::value::RawValue;

use super::DecodeError;
use super::json::body_text;
use super::json_any::{JsonError, JsonResult, each_field, each_item};
use super::wire::Fields;
use crate::notices::Notices;

const EXPLANATION: &str = "needle stores logs and traces: metrics are discarded, as its setting metrics = \"discard\" says";

/// The fields of a `Metric` that hold data points: gauge, sum, histogram, exponential histogram, summary.
const KINDS: [u32; 5] = [5, 7, 9, 10, 11];
const KIND_NAMES: [&str; 5] = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

/// The data points of an `ExportMetricsServiceRequest`: resource metrics (1), scope metrics (2), metrics (2), points (1).
pub(super) fn data_points(request: &[u8]) -> Result<usize, DecodeError> {
    let mut points = 0;
    each(request, &[1], &mut |resource| {
        each(resource, &[2], &mut |scope| {
            each(scope, &[2], &mut |metric| {
                each(metric, &KINDS, &mut |data| {
                    each(data, &[1], &mut |_| {
                        points += 1;
                        Ok(())
                    })
                })
            })
        })
    })?;
    Ok(points)
}

fn each<'a>(message: &'a [u8], numbers: &[u32], visit: &mut dyn FnMut(&'a [u8]) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        if numbers.contains(&field) {
            visit(wire.bytes()?)?;
        }
    }
    Ok(())
}

/// The same of OTLP/JSON.
pub(super) fn json_data_points(body: &[u8]) -> Result<usize, DecodeError> {
    let text = body_text(body)?;
    let request: &RawValue = serde_json::from_str(text).map_err(|error| DecodeError::Json(error.to_string()))?;
    let mut points = 0;
    let counted = json_lists(request, &["resourceMetrics"], &mut |resource| {
        json_lists(resource, &["scopeMetrics"], &mut |scope| {
            json_lists(scope, &["metrics"], &mut |metric| {
                each_field(&Notices::default(), metric, |name, data| match KIND_NAMES.contains(&name) {
                    true => json_lists(data, &["dataPoints"], &mut |_| {
                        points += 1;
                        Ok(())
                    }),
                    false => Ok(()),
                })
            })
        })
    });
    match counted {
        Ok(()) => Ok(points),
        Err(JsonError::Record(reason)) => Err(DecodeError::Json(reason)),
        Err(JsonError::Request(error)) => Err(error),
    }
}

fn json_lists<'a>(json: &'a RawValue, names: &[&str], visit: &mut dyn FnMut(&'a RawValue) -> JsonResult<()>) -> JsonResult<()> {
    each_field(&Notices::default(), json, |name, list| if names.contains(&name) { each_item(list, &mut *visit) } else { Ok(()) })
}

/// `ExportMetricsServiceResponse`, whose two fields have the numbers and types of the one for traces.
pub(super) fn protobuf(points: usize) -> Vec<u8> {
    let rejected = || ExportTracePartialSuccess { rejected_spans: points as i64, error_message: EXPLANATION.to_owned() };
    ExportTraceServiceResponse { partial_success: (points > 0).then(rejected) }.encode_to_vec()
}

/// The same in JSON.
pub(super) fn json(points: usize) -> Vec<u8> {
    match points {
        0 => b"{}".to_vec(),
        _ => json!({"partialSuccess": {"rejectedDataPoints": points.to_string(), "errorMessage": EXPLANATION}}).to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, message: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, message.len() as u8][..], message].concat()
    }

    #[test]
    fn data_points_of_every_kind_are_counted() {
        let metrics: Vec<u8> = KINDS
            .iter()
            .flat_map(|kind| field(2, &[field(1, b"name"), field(*kind as u8, &[field(1, b""), field(1, b"")].concat())].concat()))
            .collect();
        assert_eq!(data_points(&field(1, &field(2, &metrics))), Ok(10));
        assert!(data_points(b"\xff").is_err());
        let points = r#"{"dataPoints":[{},{}]}"#;
        let metrics: Vec<String> = KIND_NAMES.iter().map(|kind| format!(r#"{{"name":"n","{kind}":{points}}}"#)).collect();
        let json = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{}]}}]}}]}}"#, metrics.join(","));
        assert_eq!(json_data_points(json.as_bytes()), Ok(10));
        assert!(json_data_points(b"{").is_err());
    }
}
