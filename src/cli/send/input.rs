//! Files, folders and stdin, decompressed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;

/// Where records come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// None for stdin.
    pub(super) path: Option<PathBuf>,
    /// The service that its place suggests.
    pub(super) service: Option<String>,
    /// Its size as stored; 0 if unknown.
    pub(super) bytes: u64,
}

/// A file that cannot be used, while others may.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub(super) struct Unreadable {
    file: String,
    reason: String,
}

impl Unreadable {
    /// An error about a file.
    pub(super) fn new(file: &str, reason: impl ToString) -> Unreadable {
        Unreadable { file: file.to_owned(), reason: reason.to_string() }
    }
}

/// Decompressed bytes of an input.
pub(super) type Reader = Box<dyn BufRead>;

const BUFFER_BYTES: usize = 128 << 10;
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// All inputs that the arguments name; folders with all that is below them, in order of name.
pub(super) fn find(arguments: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let stdin = Input { path: None, service: None, bytes: 0 };
    if arguments.is_empty() {
        return Ok(vec![stdin]);
    }
    let mut inputs = Vec::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            inputs.push(Input { path: None, service: None, bytes: 0 });
            continue;
        }
        let metadata = fs::metadata(argument).with_context(|| format!("{} cannot be read", argument.display()))?;
        if metadata.is_dir() {
            walk(argument, &mut Vec::new(), argument, &mut inputs)?;
        } else {
            let service = service_of_file(argument);
            inputs.push(Input { path: Some(argument.clone()), service, bytes: metadata.len() });
        }
    }
    Ok(inputs)
}

/// Files below `folder`. Hidden ones and links to folders are passed over.
fn walk(folder: &Path, below: &mut Vec<String>, argument: &Path, inputs: &mut Vec<Input>) -> anyhow::Result<()> {
    let context = || format!("the folder {} cannot be read", folder.display());
    let mut entries = fs::read_dir(folder).with_context(context)?.collect::<Result<Vec<_>, _>>().with_context(context)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            below.push(name);
            walk(&path, below, argument, inputs)?;
            below.pop();
        } else if let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            let service = service_of_folder(argument, below).or_else(|| service_of_file(&path));
            inputs.push(Input { path: Some(path), service, bytes: metadata.len() });
        }
    }
    Ok(())
}

/// The nearest folder with a telling name: not `logs`, and not a date.
fn service_of_folder(argument: &Path, below: &[String]) -> Option<String> {
    let own = argument.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let telling = |name: &&String| {
        let generic = ["log", "logs", "tmp", "var", "data", "archive"].contains(&name.to_ascii_lowercase().as_str());
        !generic && name.chars().any(char::is_alphabetic)
    };
    below.iter().rev().chain(&own).find(telling).cloned()
}

/// The file's name up to its first dot.
fn service_of_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let stem = name.trim_start_matches('.').split('.').next().unwrap_or_default();
    stem.chars().any(char::is_alphabetic).then(|| stem.to_owned())
}

impl Input {
    /// As people call it.
    pub(super) fn name(&self) -> String {
        self.path.as_ref().map_or("stdin".to_owned(), |path| path.display().to_string())
    }

    /// Opens it; what is read moves `progress`.
    pub(super) fn open(&self, progress: &ProgressBar) -> anyhow::Result<Reader> {
        let unreadable = |error: io::Error| Unreadable::new(&self.name(), error);
        let raw: Box<dyn Read> = match &self.path {
            Some(path) => Box::new(File::open(path).map_err(unreadable)?),
            None => Box::new(io::stdin()),
        };
        Ok(decompressed(Box::new(progress.wrap_read(raw))).map_err(unreadable)?)
    }
}

/// Decompresses by the first bytes, whatever the name says.
fn decompressed(raw: Box<dyn Read>) -> io::Result<Reader> {
    let mut raw = raw;
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let is = |prefix: &[u8]| magic.starts_with(prefix);
    let (gzip, zstd) = (is(GZIP_MAGIC), is(ZSTD_MAGIC));
    let whole = Cursor::new(magic).chain(raw);
    if gzip {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, flate2::read::MultiGzDecoder::new(whole))));
    }
    if zstd {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::new(whole)?)));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, whole)))
}

/// Reads a line with its end into `line`, which is emptied first. False at the end of the input.
pub(super) fn read_line(name: &str, reader: &mut dyn BufRead, line: &mut Vec<u8>) -> anyhow::Result<bool> {
    line.clear();
    let read = reader.read_until(b'\n', line).map_err(|error| Unreadable::new(name, error))?;
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_folder_names_the_service_of_what_lies_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("round");
        for file in ["nova/nova-api.log", "nova/2026-11/nova-old.log.gz", "heat/logs/engine.log", "top.log", ".hidden/x.log", "nova/.swp"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "x").unwrap();
        }
        let inputs = find(std::slice::from_ref(&root)).unwrap();
        let found: Vec<_> = inputs
            .iter()
            .map(|input| {
                let path = input.path.as_ref().unwrap().strip_prefix(&root).unwrap();
                (path.to_str().unwrap(), input.service.as_deref().unwrap())
            })
            .collect();
        assert_eq!(
            found,
            [
                ("heat/logs/engine.log", "heat"),
                ("nova/2026-11/nova-old.log.gz", "nova"),
                ("nova/nova-api.log", "nova"),
                ("top.log", "round")
            ]
        );
        let file = find(&[root.join("nova/nova-api.log")]).unwrap();
        assert_eq!(file[0].service.as_deref(), Some("nova-api"));
    }

    #[test]
    fn what_is_compressed_is_read_by_its_first_bytes() {
        let text = b"2026-11-20 09:00:00 hello\n".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut two = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        two.write_all(b"more").unwrap();
        let gzip = [gzip.finish().unwrap(), two.finish().unwrap()].concat();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for (stored, plain) in
            [(gzip, [&text[..], b"more"].concat()), (zstd, text.clone()), (text.clone(), text.clone()), (b"ab".to_vec(), b"ab".to_vec())]
        {
            let mut read = Vec::new();
            decompressed(Box::new(Cursor::new(stored))).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == plain);
        }
    }
}
