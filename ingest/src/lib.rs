#![doc = include_str!("../README.md")]

mod admit;
mod bulk;
mod decode;
mod error;
mod ids;
mod json_logs;
mod levels;
mod metrics;
mod notices;
mod otlp;
mod pipeline;
mod receive;
mod rows;
mod settings;
mod shares;
mod text_logs;
mod times;

pub use decode::decoder;
pub use pipeline::Ingest;
pub use settings::IngestSettings;

/// The store that [`Ingest`] writes to, for the program that opens it.
pub use needle_storage as storage;
