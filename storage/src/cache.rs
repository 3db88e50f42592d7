//! Shards kept open for reading, the least recently used closed first, and what was read of them lately.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use object_store::ObjectStore;
use parking_lot::Mutex;

use crate::catalog::ShardMeta;
use crate::shapes::ShapeCache;
use crate::shard::{ReadCache, ShardError, ShardReader};

pub(crate) struct ShardCache {
    objects: Arc<dyn ObjectStore>,
    open: Mutex<LruCache<String, Arc<ShardReader>>>,
    read: Arc<ReadCache>,
    /// The shapes of bodies of shards that were asked for as a whole.
    pub(crate) shapes: ShapeCache,
}

impl ShardCache {
    /// A cache of at most `open_max` shards, of `read_bytes_max` bytes read from them, and `shape_bytes_max` bytes of shapes.
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, open_max: usize, read_bytes_max: usize, shape_bytes_max: usize) -> ShardCache {
        let open_max = NonZeroUsize::new(open_max).expect("settings are checked: at least one");
        ShardCache {
            objects,
            open: Mutex::new(LruCache::new(open_max)),
            read: Arc::new(ReadCache::new(read_bytes_max)),
            shapes: ShapeCache::new(shape_bytes_max),
        }
    }

    /// Closes a shard.
    pub(crate) fn close(&self, path: &str) {
        self.open.lock().pop(path);
        self.shapes.forget(path);
    }

    /// The open shard.
    pub(crate) fn get(&self, meta: &ShardMeta) -> Result<Arc<ShardReader>, ShardError> {
        if let Some(reader) = self.open.lock().get(&meta.path) {
            return Ok(reader.clone());
        }
        // Opened outside the lock: two may open the same shard at once, which costs little.
        let reader = Arc::new(ShardReader::open_with(self.objects.clone(), meta.clone(), self.read.clone())?);
        self.open.lock().put(meta.path.clone(), reader.clone());
        Ok(reader)
    }
}
