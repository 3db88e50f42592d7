//! An object store in memory that counts what is asked of it, and refuses on demand.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::executor::block_on;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Debug, Default)]
pub(crate) struct Watched {
    inner: InMemory,
    pub(crate) gets: AtomicUsize,
    pub(super) get_bytes_max: AtomicUsize,
    pub(super) put_bytes_max: AtomicUsize,
    pub(super) put_bytes: AtomicUsize,
    /// So many reads are refused next.
    pub(super) gets_refused: AtomicUsize,
    /// So many more writes are done; none when zero.
    pub(super) puts_left: AtomicUsize,
}

impl Watched {
    pub(crate) fn new() -> Watched {
        let watched = Watched::default();
        watched.puts_left.store(usize::MAX, Ordering::Relaxed);
        watched
    }

    /// The names of all objects, in order.
    pub(super) fn names(&self) -> Vec<Path> {
        let mut names: Vec<Path> = block_on(self.inner.list(None).map(|object| object.unwrap().location).collect());
        names.sort();
        names
    }

    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        block_on(async { self.inner.get(path).await.unwrap().bytes().await }).unwrap().to_vec()
    }

    pub(crate) fn set(&self, path: &Path, bytes: &[u8]) {
        block_on(self.inner.put(path, bytes.to_vec().into())).unwrap();
    }

    pub(super) fn remove(&self, path: &Path) {
        block_on(self.inner.delete(path)).unwrap();
    }

    /// All objects as they are now.
    pub(super) fn copy(&self) -> Vec<(Path, Vec<u8>)> {
        self.names().into_iter().map(|path| (path.clone(), self.bytes(&path))).collect()
    }

    fn take_one(counter: &AtomicUsize) -> bool {
        counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched")
    }
}

fn refusal() -> Error {
    Error::Generic { store: "watched", source: "refused".into() }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !Watched::take_one(&self.puts_left) {
            return Err(refusal());
        }
        self.put_bytes_max.fetch_max(payload.content_length(), Ordering::Relaxed);
        self.put_bytes.fetch_add(payload.content_length(), Ordering::Relaxed);
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        if Watched::take_one(&self.gets_refused) {
            return Err(refusal());
        }
        let result = self.inner.get_opts(location, options).await?;
        self.get_bytes_max.fetch_max((result.range.end - result.range.start) as usize, Ordering::Relaxed);
        Ok(result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
