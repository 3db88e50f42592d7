//! Receiving a body: bounded in bytes before and after decompression, and by what all requests together may hold. Whoever serves
//! the routes bounds it in time, where a body that comes too slowly ends with an error of the kind `TimedOut`, and hears out who is refused
//! and still sends.

use std::io::{self, Read};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::error::Refusal;
use crate::settings::IngestSettings;
use crate::shares::InFlight;

/// Windows of zstd up to this size are decoded (`zstd -22` needs 128 MiB and is refused).
const ZSTD_WINDOW_LOG_MAX: u32 = 26;

/// A compressed byte is about as much work as so many that are not.
pub(crate) const EXPANSION: usize = 8;

/// Receives a whole body, as it came. What a body is framed with, `framing` bytes, may come on top of the limit.
pub(crate) async fn receive<B>(
    headers: &HeaderMap,
    mut body: B,
    settings: &IngestSettings,
    framing: usize,
    in_flight: &mut InFlight,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let too_large = Refusal::TooLarge { limit: settings.request_bytes_max, when: "as sent" };
    let limit = settings.request_bytes_max + framing;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large);
    }
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    in_flight.hold(first.len())?;
    let Some(mut chunk) = next(&mut body).await? else {
        return Some(first).filter(|first| first.len() <= limit).ok_or(too_large);
    };
    // What arrives is copied at once: chunks that are kept until the end stand beside the whole then, and each keeps the read buffer that it
    // is a part of. What was announced is no reason to hold it before it comes.
    let length_max = announced.map_or(limit, |bytes| bytes as usize);
    let mut whole = Vec::from(first);
    loop {
        let total = whole.len() + chunk.len();
        if total > limit {
            return Err(too_large);
        }
        if whole.capacity() < total {
            let grown = (2 * whole.capacity()).min(length_max).max(total);
            in_flight.hold(grown)?;
            whole.reserve_exact(grown - whole.len());
        }
        whole.extend_from_slice(&chunk);
        chunk = match next(&mut body).await? {
            Some(chunk) => chunk,
            None => return Ok(whole.into()),
        };
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The next part of a body, if there is one.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.into().as_ref()))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Why a body ended early: its sender took too long, or went away.
fn broken(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut timed_out = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match timed_out.any(|kind| kind == io::ErrorKind::TimedOut) {
        true => Refusal::Slow,
        false => Refusal::Broken(error.to_string()),
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Identity,
    Gzip,
    Zstd,
}

impl Compression {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Compression, Refusal> {
        Compression::named(headers.get(CONTENT_ENCODING))
    }

    /// What the value of a header means; without one there is no compression.
    pub(crate) fn named(header: Option<&HeaderValue>) -> Result<Compression, Refusal> {
        let Some(value) = header else { return Ok(Compression::Identity) };
        let name = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" | "none" => Ok(Compression::Identity),
            "gzip" | "x-gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            _ => Err(Refusal::Encoding(name)),
        }
    }

    /// Decompresses `body`, whose every member counts, to at most `limit` bytes.
    pub(crate) fn decompress(self, body: Bytes, limit: usize, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        match self {
            Compression::Identity => Ok(body),
            // No bytes are no gzip member and no zstd frame, but a sender with nothing to say may well send none.
            _ if body.is_empty() => Ok(body),
            Compression::Gzip => read_all("gzip", flate2::bufread::MultiGzDecoder::new(body.as_ref()), body.len(), limit, in_flight),
            Compression::Zstd => {
                let failed = |error: io::Error| Refusal::Compression { encoding: "zstd", reason: error.to_string() };
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref()).map_err(failed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(failed)?;
                read_all("zstd", decoder, body.len(), limit, in_flight)
            }
        }
    }
}

fn read_all(
    encoding: &'static str,
    mut decoder: impl Read,
    compressed: usize,
    limit: usize,
    in_flight: &mut InFlight,
) -> Result<Bytes, Refusal> {
    const CHUNK_BYTES: usize = 64 << 10;
    let mut out = Vec::new();
    loop {
        let begin = out.len();
        // Growing by doubling would overshoot the limit; what is held is what is allocated.
        if out.capacity() < begin + CHUNK_BYTES {
            let grown = (2 * out.capacity()).clamp(begin + CHUNK_BYTES, limit + CHUNK_BYTES + 1);
            in_flight.hold(compressed + grown)?;
            out.reserve_exact(grown - begin);
        }
        out.resize(begin + CHUNK_BYTES, 0);
        let read = decoder.read(&mut out[begin..]).map_err(|error| Refusal::Compression { encoding, reason: error.to_string() })?;
        out.truncate(begin + read);
        if out.len() > limit {
            return Err(Refusal::TooLarge { limit, when: "when decompressed" });
        }
        if read == 0 {
            return Ok(out.into());
        }
    }
}

#[cfg(test)]
mod tests;
