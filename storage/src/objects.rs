//! Shards on the local disk behind the `object_store` trait, so that an S3-compatible store can take
//! its place. The crate's own local store does not sync; this one returns from `put` when the object
//! survives a power cut: written under a temporary name, synced, renamed, folder synced.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::{self, BoxStream, StreamExt as _};
use lru::LruCache;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};

/// Ends the name of a file that is being written; recovery removes such files.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// An object store in a folder.
#[derive(Debug)]
pub(crate) struct DiskObjects {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    open: Arc<OpenFiles>,
}

/// Files kept open for reading, the least recently used closed first: a lookup reads some ranges of each column, and
/// opening a file costs more than reading one.
#[derive(Debug)]
struct OpenFiles(Mutex<LruCache<PathBuf, Arc<dyn DiskFile>>>);

const OPEN_FILES_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

impl OpenFiles {
    fn get(&self, disk: &dyn Disk, path: &FilePath) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.0.lock().get(path) {
            return Ok(file.clone());
        }
        let file: Arc<dyn DiskFile> = disk.open_read(path)?.into();
        self.0.lock().put(path.to_owned(), file.clone());
        Ok(file)
    }

    /// Closes a file that is replaced or removed: kept open, its room would not be given back.
    fn close(&self, path: &FilePath) {
        self.0.lock().pop(path);
    }
}

impl DiskObjects {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: PathBuf) -> DiskObjects {
        DiskObjects { disk, root, open: Arc::new(OpenFiles(Mutex::new(LruCache::new(OPEN_FILES_MAX)))) }
    }

    fn file(&self, location: &Path) -> PathBuf {
        self.root.join(location.as_ref())
    }

    fn write(&self, location: &Path, payload: &PutPayload) -> io::Result<()> {
        let file_path = self.file(location);
        let folder = file_path.parent().expect("an object lies below the root");
        self.disk.create_folder(folder)?;
        let mut temporary = file_path.clone().into_os_string();
        temporary.push(TEMPORARY_SUFFIX);
        let file = self.disk.create(temporary.as_ref())?;
        let mut offset = 0;
        for chunk in payload {
            file.write_at(chunk, offset)?;
            offset += chunk.len() as u64;
        }
        file.sync_data()?;
        self.disk.rename(temporary.as_ref(), &file_path)?;
        self.open.close(&file_path);
        self.disk.sync_folder(folder)
    }

    fn read(&self, location: &Path, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let file = self.open.get(self.disk.as_ref(), &self.file(location))?;
        ranges
            .iter()
            .map(|range| {
                let mut buffer = vec![0; (range.end - range.start) as usize];
                file.read_at(&mut buffer, range.start)?;
                Ok(Bytes::from(buffer))
            })
            .collect()
    }

    fn size(&self, location: &Path) -> io::Result<u64> {
        self.open.get(self.disk.as_ref(), &self.file(location))?.len()
    }

    fn walk(&self, prefix: Option<&Path>) -> io::Result<Vec<ObjectMeta>> {
        let mut folders = vec![prefix.cloned().unwrap_or_default()];
        let mut objects = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in self.disk.list(&self.file(&folder))? {
                let location = folder.clone().join(entry.name.to_string_lossy().as_ref());
                if entry.is_folder {
                    folders.push(location);
                } else {
                    objects.push(meta(location, entry.bytes));
                }
            }
        }
        Ok(objects)
    }
}

impl fmt::Display for DiskObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskObjects({})", self.root.display())
    }
}

/// Shards never change, so neither does their time of modification; nothing here reads it.
fn meta(location: Path, size: u64) -> ObjectMeta {
    ObjectMeta { location, last_modified: DateTime::UNIX_EPOCH, size, e_tag: None, version: None }
}

fn failed(location: &Path, error: io::Error) -> Error {
    let path = location.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        _ => Error::Generic { store: "disk", source: format!("{path}: {error}").into() },
    }
}

fn unsupported(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "DiskObjects".to_owned() }
}

#[async_trait]
impl ObjectStore for DiskObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode != PutMode::Overwrite {
            return Err(unsupported("conditional put"));
        }
        self.write(location, &payload).map_err(|error| failed(location, error))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, _location: &Path, _options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(unsupported("multipart upload"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let size = self.size(location).map_err(|error| failed(location, error))?;
        let range = match options.range {
            None => 0..size,
            Some(wanted) => wanted.as_range(size).map_err(|error| Error::Generic { store: "disk", source: Box::new(error) })?,
        };
        let bytes =
            if options.head { Vec::new() } else { self.read(location, std::slice::from_ref(&range)).map_err(|e| failed(location, e))? };
        let payload = GetResultPayload::Stream(stream::iter(bytes.into_iter().map(Ok)).boxed());
        Ok(GetResult { payload, meta: meta(location.clone(), size), range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(location, ranges).map_err(|error| failed(location, error))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (disk, root, open) = (self.disk.clone(), self.root.clone(), self.open.clone());
        locations
            .map(move |location| {
                let location = location?;
                let path = root.join(location.as_ref());
                disk.remove(&path).map_err(|error| failed(&location, error))?;
                open.close(&path);
                // Whoever removed it forgets it next: a power cut must not bring it back.
                disk.sync_folder(path.parent().expect("an object lies below the root")).map_err(|error| failed(&location, error))?;
                Ok(location)
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.walk(prefix).map_err(|error| failed(&prefix.cloned().unwrap_or_default(), error));
        match listed {
            Ok(objects) => stream::iter(objects.into_iter().map(Ok)).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        for entry in self.disk.list(&self.file(&folder)).map_err(|error| failed(&folder, error))? {
            let location = folder.clone().join(entry.name.to_string_lossy().as_ref());
            if entry.is_folder {
                result.common_prefixes.push(location);
            } else {
                result.objects.push(meta(location, entry.bytes));
            }
        }
        Ok(result)
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(unsupported("copy"))
    }
}
