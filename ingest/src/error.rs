//! Why a request was refused, and the one place where that becomes a status code.

use http::StatusCode;
use needle_storage::AppendError;

use crate::decode::DecodeError;

/// Why nothing of a request was stored. The text says what, where, and how to mend it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Undecodable(#[from] DecodeError),
    #[error("the body is not valid {encoding}: {reason}; send it again whole, or without content-encoding")]
    Compression { encoding: &'static str, reason: String },
    #[error("the body is more than {limit} bytes {when}: send smaller batches, or raise request_bytes_max")]
    TooLarge { limit: usize, when: &'static str },
    #[error("content-type {given:?} is not taken here: send {wanted}")]
    ContentType { given: String, wanted: &'static str },
    #[error("the call is not gRPC as it should be: {0}")]
    Frame(String),
    #[error("content-encoding {0:?} is not taken here: send gzip, zstd or identity")]
    Encoding(String),
    #[error("{method} is not taken at {path}: send POST")]
    Method { method: String, path: String },
    #[error("there is nothing at {path}: {hint}")]
    NotFound { path: String, hint: &'static str },
    #[error("a request header or parameter cannot be used: {0}")]
    Parameter(String),
    #[error("none of the {count} {what} can be stored: {reasons}")]
    NoneUsable { count: usize, what: &'static str, reasons: String },
    #[error("the body holds no record: send at least one")]
    Nothing,
    #[error("too many bytes{whose} are on their way into the store (limit {limit}): send again a little later")]
    Busy { whose: &'static str, limit: usize },
    #[error("this tenant sent more than {limit} bytes a second: send less, or raise tenant_bytes_per_second_max")]
    TenantRate { limit: u64, wait_seconds: u64 },
    #[error("{0}")]
    Store(#[from] AppendError),
    #[error("the body came too slowly or stopped coming: send again")]
    Slow,
    #[error("the body ended early: {0}")]
    Broken(String),
    #[error("{0}")]
    Unauthenticated(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    TooOften(String),
    #[error("decoding this request failed in a way that is a fault of needle: keep the request and report it")]
    Fault,
}

/// Codes of `google.rpc.Code`, which are gRPC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Refusal {
    /// Of a request that the program does not let in.
    pub(crate) fn denial(status: StatusCode, why: String) -> Refusal {
        match status {
            StatusCode::UNAUTHORIZED => Refusal::Unauthenticated(why),
            StatusCode::TOO_MANY_REQUESTS => Refusal::TooOften(why),
            _ => Refusal::Forbidden(why),
        }
    }

    /// Of a content type that is not OTLP's.
    pub(crate) fn content_type(given: &str) -> Refusal {
        Refusal::ContentType { given: given.to_owned(), wanted: "application/x-protobuf or application/json" }
    }

    pub(crate) fn http_status(&self) -> StatusCode {
        match self {
            Refusal::Undecodable(_) | Refusal::Compression { .. } | Refusal::NoneUsable { .. } | Refusal::Nothing => {
                StatusCode::BAD_REQUEST
            }
            Refusal::Parameter(_) | Refusal::Frame(_) | Refusal::Broken(_) => StatusCode::BAD_REQUEST,
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::ContentType { .. } | Refusal::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
            Refusal::Busy { .. } | Refusal::TenantRate { .. } | Refusal::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
            // Only 429, 502, 503 and 504 are sent again by an OTLP client.
            Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Slow => StatusCode::REQUEST_TIMEOUT,
            Refusal::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Refusal::TooLarge { .. } => Code::ResourceExhausted,
            _ if self.is_temporary() => Code::Unavailable,
            Refusal::Unauthenticated(_) => Code::Unauthenticated,
            Refusal::Forbidden(_) => Code::PermissionDenied,
            Refusal::Encoding(_) | Refusal::Method { .. } => Code::Unimplemented,
            Refusal::NotFound { .. } => Code::NotFound,
            Refusal::Slow => Code::DeadlineExceeded,
            Refusal::Fault => Code::Internal,
            _ => Code::InvalidArgument,
        }
    }

    /// Whether the same request may be accepted later.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Refusal::Busy { .. } | Refusal::TenantRate { .. } | Refusal::Store(_) | Refusal::TooOften(_))
    }

    /// The reason as a label of metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Refusal::Undecodable(_) | Refusal::Compression { .. } | Refusal::Frame(_) => "undecodable",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::ContentType { .. } | Refusal::Encoding(_) => "unsupported",
            Refusal::Method { .. } | Refusal::NotFound { .. } | Refusal::Parameter(_) => "misdirected",
            Refusal::NoneUsable { .. } | Refusal::Nothing => "none_usable",
            Refusal::Busy { .. } => "busy",
            Refusal::TenantRate { .. } => "tenant_rate",
            Refusal::Store(_) => "store",
            Refusal::Slow | Refusal::Broken(_) => "broken",
            Refusal::Unauthenticated(_) => "unauthenticated",
            Refusal::Forbidden(_) => "forbidden",
            Refusal::TooOften(_) => "too_often",
            Refusal::Fault => "fault",
        }
    }

    /// Seconds after which to send again, a little more or less, so that refused senders do not return together.
    pub(crate) fn retry_after_seconds(&self, entropy: u64) -> u64 {
        let wait_seconds = if let Refusal::TenantRate { wait_seconds, .. } = self { *wait_seconds } else { 0 };
        // Fibonacci hashing: the top bits depend on all bits.
        wait_seconds + 1 + (entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62)
    }
}
