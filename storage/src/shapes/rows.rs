//! Which row has which shape.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

/// The code of a row without a body.
const NONE: u16 = u16::MAX;
/// What a shape takes in a table beside its text, about.
const SHAPE_BYTES: usize = 64;
/// Shapes of a shard are kept when they take no more than this.
const TABLE_BYTES_MAX: usize = 4 << 20;
/// Shards whose shapes are known; those that have too many to be kept count as well.
const SHARDS_MAX: usize = 16_384;

/// Shapes, numbered as they come.
#[derive(Default)]
pub(crate) struct ShapeTable {
    codes: HashMap<Arc<str>, u32, ahash::RandomState>,
    texts: Vec<Arc<str>>,
    bytes: usize,
}

impl ShapeTable {
    /// The number of a shape.
    pub(crate) fn code(&mut self, shape: &str) -> u32 {
        if let Some(code) = self.codes.get(shape) {
            return *code;
        }
        let text: Arc<str> = shape.into();
        let code = self.texts.len() as u32;
        self.bytes += SHAPE_BYTES + text.len();
        self.codes.insert(text.clone(), code);
        self.texts.push(text);
        code
    }

    /// The shape of a number.
    pub(crate) fn text(&self, code: u32) -> &str {
        &self.texts[code as usize]
    }

    /// Whether it has become so large that it is better emptied.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > TABLE_BYTES_MAX || self.texts.len() >= usize::from(NONE)
    }
}

/// The shapes of all rows of a shard.
#[derive(Default)]
pub(crate) struct RowShapes {
    table: ShapeTable,
    codes: Vec<u16>,
}

impl RowShapes {
    /// Takes the shape of the next row; none of one without a body. False when there are too many shapes to be kept.
    pub(crate) fn push(&mut self, shape: Option<&str>) -> bool {
        let code = shape.map_or(NONE, |shape| self.table.code(shape) as u16);
        self.codes.push(code);
        !self.table.is_full()
    }

    /// The number of a row's shape.
    pub(crate) fn code(&self, row: u32) -> Option<u32> {
        self.codes.get(row as usize).filter(|code| **code != NONE).map(|code| u32::from(*code))
    }

    /// The shape of a number.
    pub(crate) fn text(&self, code: u32) -> &str {
        self.table.text(code)
    }

    fn bytes(&self) -> usize {
        self.table.bytes + self.codes.len() * size_of::<u16>()
    }
}

/// What is known of the shapes of shards, the least recently used forgotten first.
pub(crate) struct ShapeCache {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

struct Kept {
    /// By the path of the shard; none where there are too many to be kept.
    shards: LruCache<String, Option<Arc<RowShapes>>>,
    bytes: usize,
}

impl ShapeCache {
    /// A cache of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> ShapeCache {
        let shards = LruCache::new(NonZeroUsize::new(SHARDS_MAX).expect("it is not 0"));
        ShapeCache { kept: Mutex::new(Kept { shards, bytes: 0 }), bytes_max }
    }

    /// What is known of a shard; nothing if it was not looked at.
    pub(crate) fn get(&self, path: &str) -> Option<Option<Arc<RowShapes>>> {
        self.kept.lock().shards.get(path).cloned()
    }

    /// Keeps the shapes of a shard, or that they are too many.
    pub(crate) fn put(&self, path: &str, shapes: Option<Arc<RowShapes>>) {
        let bytes = |shapes: &Option<Arc<RowShapes>>| shapes.as_ref().map_or(0, |shapes| shapes.bytes());
        let mut kept = self.kept.lock();
        kept.bytes += bytes(&shapes);
        if let Some((_, before)) = kept.shards.push(path.to_owned(), shapes) {
            kept.bytes -= bytes(&before);
        }
        while kept.bytes > self.bytes_max
            && let Some((_, oldest)) = kept.shards.pop_lru()
        {
            kept.bytes -= bytes(&oldest);
        }
    }

    /// Forgets a shard.
    pub(crate) fn forget(&self, path: &str) {
        let mut kept = self.kept.lock();
        if let Some(Some(shapes)) = kept.shards.pop(path) {
            kept.bytes -= shapes.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Option<Arc<RowShapes>> {
        let mut rows = RowShapes::default();
        (0..count).for_each(|row| _ = rows.push((row % 3 > 0).then_some(if row % 3 == 1 { "a" } else { "b" })));
        Some(Arc::new(rows))
    }

    #[test]
    fn a_row_has_its_shape() {
        let rows = rows(7).expect("they are few");
        let shapes: Vec<Option<&str>> = (0..8).map(|row| rows.code(row).map(|code| rows.text(code))).collect();
        assert_eq!(shapes, [None, Some("a"), Some("b"), None, Some("a"), Some("b"), None, None]);
    }

    #[test]
    fn a_shard_with_too_many_shapes_says_so() {
        let mut rows = RowShapes::default();
        let taken = (0..usize::from(NONE)).take_while(|number| rows.push(Some(&number.to_string()))).count();
        assert!((50_000..usize::from(NONE)).contains(&taken), "{taken}");
        let mut long = ShapeTable::default();
        long.code(&"x".repeat(TABLE_BYTES_MAX));
        assert!(long.is_full());
    }

    #[test]
    fn the_least_recently_used_is_forgotten_when_the_bound_is_reached() {
        let bytes = rows(1_000).map_or(0, |rows| rows.bytes());
        let cache = ShapeCache::new(2 * bytes);
        cache.put("one", rows(1_000));
        cache.put("two", rows(1_000));
        cache.put("none", None);
        assert!(cache.get("one").is_some());
        cache.put("three", rows(1_000));
        assert!(cache.get("two").is_none() && matches!(cache.get("none"), Some(None)) && cache.get("one").is_some());
        cache.put("one", rows(1_000));
        assert!(cache.get("three").is_some(), "kept anew, counted once");
        cache.forget("one");
        assert!(cache.get("one").is_none());
        assert_eq!(cache.kept.lock().bytes, bytes);
    }
}
