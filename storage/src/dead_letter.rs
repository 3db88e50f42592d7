//! Requests that a fault of ours could not deal with, kept as they came so that the fault can be found. The first few are
//! kept; whoever sends the same again and again fills no disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::accept::{BodyFormat, RawRequest};
use crate::disk::Disk;

/// In the folder of what is not a shard.
pub(crate) const DEAD_LETTER_FOLDER: &str = "dead-letter";
/// So many requests are kept,
const LETTERS_MAX: usize = 16;
/// and so many bytes of them.
const LETTER_BYTES_MAX: u64 = 256 << 20;

/// Keeps the body of a request below `own`; where. None when enough are kept already.
pub(crate) fn keep(disk: &dyn Disk, own: &Path, request: &RawRequest) -> io::Result<Option<PathBuf>> {
    let folder = own.join(DEAD_LETTER_FOLDER);
    let letters = disk.list(&folder)?;
    let bytes: u64 = letters.iter().map(|letter| letter.bytes).sum();
    if letters.len() >= LETTERS_MAX || bytes + request.body.len() as u64 > LETTER_BYTES_MAX {
        return Ok(None);
    }
    disk.create_folder(&folder)?;
    let digest = blake3::hash(&request.body).to_hex();
    let name = format!("{:020}-{}.{}", request.arrival.0, &digest[..16], extension(request.format));
    let path = folder.join(name);
    let file = disk.create(&path)?;
    file.write_at(&request.body, 0)?;
    file.sync_data()?;
    disk.sync_folder(&folder)?;
    Ok(Some(path))
}

/// What the body is.
fn extension(format: BodyFormat) -> &'static str {
    match format {
        BodyFormat::OtlpLogsProtobuf => "logs.pb",
        BodyFormat::OtlpLogsJson => "logs.json",
        BodyFormat::OtlpTracesProtobuf => "traces.pb",
        BodyFormat::OtlpTracesJson => "traces.json",
        BodyFormat::JsonLogs => "lines.json",
        BodyFormat::TextLogs => "lines.txt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;
    use crate::model::{Tenant, UnixNanos};

    #[test]
    fn the_first_requests_are_kept_as_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let letter = |n: u64| RawRequest {
            tenant: Tenant::default(),
            format: BodyFormat::OtlpTracesJson,
            arrival: UnixNanos(n),
            service: None,
            timezone: None,
            body: format!("body {n}").into(),
        };
        let kept: Vec<Option<PathBuf>> = (0..20).map(|n| keep(&LocalDisk, folder.path(), &letter(n)).unwrap()).collect();
        assert_eq!(kept.iter().flatten().count(), LETTERS_MAX);
        let first = kept[0].clone().unwrap();
        assert!(first.to_str().unwrap().ends_with(".traces.json"), "{}", first.display());
        assert_eq!(std::fs::read(first).unwrap(), b"body 0");
    }
}
