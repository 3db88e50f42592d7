//! OTLP: decoding of both encodings, and the two servers.

mod discard;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod json;
mod json_any;
mod json_scalar;
pub(crate) mod logs;
pub(crate) mod respond;
pub(crate) mod spans;
pub(crate) mod status;
pub(crate) mod typed_json;
mod value;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use crate::decode::{Budget, DecodeError};
