//! What the program says about itself: structured logs on stderr, and its version among the metrics.

use std::io::{self, Write};

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::Unusable;

/// Starts logging to stderr.
pub(crate) fn start(filter: &str) -> Result<(), Unusable> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Unusable(format!("log: {filter:?} is no filter ({error}): give a level like info, or needle_storage=debug,warn"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Escaped)
        .try_init()
        .map_err(|error| Unusable(format!("logging cannot be started: {error}")))
}

/// A registry that knows which program this is.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register("needle_build", "The running program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    registry
}

/// Stderr without control characters: logged text may come from anyone, and one event stays one line.
struct Escaped;

/// Writes one event.
struct Line<W: Write>(W);

impl<'a> MakeWriter<'a> for Escaped {
    type Writer = Line<io::Stderr>;

    fn make_writer(&'a self) -> Line<io::Stderr> {
        Line(io::stderr())
    }
}

impl<W: Write> Write for Line<W> {
    /// The formatter hands over whole events, each with its line break.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        self.0.write_all(format!("{}\n", crate::cli::terminal::visible(text)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let mut written = Vec::new();
        Line(&mut written).write_all(b"INFO refused body=\"a\nb\x1b[2J\xff\"\n").unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "INFO refused body=\"a\\nb\\x1b[2J\u{fffd}\"\n");
    }
}
