#![doc = include_str!("../README.md")]

mod access;
mod api;
mod assets;
mod error;
mod frame;
mod metrics;
mod operate;
mod settings;
mod web;

pub use access::Access;
pub use api::openapi_json;
pub use error::deny;
pub use metrics::WebMetrics;
pub use settings::{SettingsError, WebSettings};
pub use web::Web;

/// The room whose answers are shown, for the program that makes its engine.
pub use needle_query as query;
/// Whether a query asks for numbers instead of records.
pub use needle_query::is_piped;
