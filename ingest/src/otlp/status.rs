//! `google.rpc.Status`, the body of every error of OTLP, in both encodings.

use prost::Message;
use serde_json::json;

use crate::error::Refusal;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<Duration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Duration {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldViolation {
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// The status of a refusal: `RetryInfo` when the request may be sent again, `BadRequest` when it has to change.
pub(crate) fn protobuf(refusal: &Refusal, retry_after_seconds: u64) -> Vec<u8> {
    let message = refusal.to_string();
    let detail = if refusal.is_temporary() {
        let info = RetryInfo { retry_delay: Some(Duration { seconds: retry_after_seconds as i64 }) };
        Some(Any { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() })
    } else if refusal.http_status() == http::StatusCode::BAD_REQUEST {
        let violation = FieldViolation { field: "body".to_owned(), description: message.clone() };
        Some(Any { type_url: BAD_REQUEST.to_owned(), value: BadRequest { field_violations: vec![violation] }.encode_to_vec() })
    } else {
        None
    };
    Status { code: refusal.code() as i32, message, details: detail.into_iter().collect() }.encode_to_vec()
}

/// The same in JSON.
pub(crate) fn json(refusal: &Refusal, retry_after_seconds: u64) -> Vec<u8> {
    let message = refusal.to_string();
    let details = if refusal.is_temporary() {
        json!([{"@type": RETRY_INFO, "retryDelay": format!("{retry_after_seconds}s")}])
    } else if refusal.http_status() == http::StatusCode::BAD_REQUEST {
        json!([{"@type": BAD_REQUEST, "fieldViolations": [{"field": "body", "description": message}]}])
    } else {
        json!([])
    };
    json!({"code": refusal.code() as i32, "message": message, "details": details}).to_string().into_bytes()
}
