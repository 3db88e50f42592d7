//! The readers of what lies on disk, each over bytes in memory: for whoever tries them with bytes that we never wrote
//! (`tests/fuzz`). Nothing else should need them, and they change with what they read.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use rusqlite::Connection;

use crate::accept::{Decoded, RawRequest};
use crate::catalog::{Origins, shard_of_row};
use crate::directory::SoundRuns;
use crate::live::LiveBatch;
use crate::model::{IdKey, RecordId, Tenant};
use crate::shard;
use crate::wal::{Piece, Sequence, for_each_piece};

/// A part of a file of the log.
#[derive(Debug)]
pub enum LogPiece {
    /// A whole frame: its length, and the request in it.
    Frame(usize, Result<RawRequest, String>),
    /// Bytes that are no frame, before one.
    Damaged(Range<usize>),
    /// Bytes that are no frame, at the end.
    Torn(Range<usize>),
}

/// The parts of a file of the log, in order, and where the next frame would go.
pub fn log(bytes: &Bytes) -> (Vec<LogPiece>, usize) {
    let mut pieces = Vec::new();
    let Ok(end) = for_each_piece::<Infallible>(bytes, Sequence(0), &mut |piece| {
        pieces.push(match piece {
            Piece::Frame(frame) => LogPiece::Frame(frame.bytes(), frame.request().map_err(|error| error.to_string())),
            Piece::Damaged(range) => LogPiece::Damaged(range),
            Piece::Torn(range) => LogPiece::Torn(range),
        });
        Ok(())
    });
    (pieces, end)
}

/// How many rows a shard has and what is wrong with it, or why it cannot be read. Its index is asked for every word and value.
pub fn shard(bytes: &Bytes) -> Result<(usize, Vec<String>), String> {
    shard::examine("shard.parquet", bytes, None).map(|examined| (examined.records.len(), examined.faults))
}

/// The shard that records become. As any other, it is read with [`shard`].
pub fn sealed(records: &Decoded) -> Result<Bytes, String> {
    let mut batch = LiveBatch::new(Tenant::default(), records.clone());
    batch.number(RecordId(1));
    let built = shard::build("fuzz", &batch.tenant, batch.signal, &Origins::one(1), std::slice::from_ref(&batch.records));
    built.map(|built| built.bytes).map_err(|error| error.to_string())
}

/// How many of the hashes of ids a run of the id directory, named 1, does not lead to from these origins, or why it cannot be read.
pub fn directory(bytes: &Bytes, origins: &BTreeSet<u32>, keys: &BTreeSet<u64>) -> Result<usize, String> {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    block_on(objects.put(&Path::from("ids/0000000001.ids"), bytes.clone().into())).map_err(|error| error.to_string())?;
    let runs = SoundRuns::read(objects, Path::from("ids")).map_err(|error| error.to_string())?;
    if let Some((_, complaint)) = runs.complaints.first() {
        return Err(complaint.clone());
    }
    let keys: Vec<IdKey> = keys.iter().map(|key| IdKey(*key)).collect();
    runs.missed(origins, &keys).map_err(|error| error.to_string())
}

/// A value of a row of the catalog.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogValue {
    /// Nothing.
    Null,
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl rusqlite::ToSql for CatalogValue {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            CatalogValue::Null => rusqlite::types::Null.to_sql(),
            CatalogValue::Integer(number) => number.to_sql(),
            CatalogValue::Text(text) => text.to_sql(),
            CatalogValue::Blob(bytes) => bytes.to_sql(),
        }
    }
}

/// Columns of a shard's row in the catalog.
pub const CATALOG_COLUMNS: usize = 14;

/// The origins, as they are written, of the shard that a row of the catalog describes, or why it describes none.
pub fn catalog_row(values: &[CatalogValue; CATALOG_COLUMNS]) -> Result<String, String> {
    thread_local! {
        static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
    }
    CONNECTION.with_borrow_mut(|connection| {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open_in_memory().map_err(|error| error.to_string())?),
        };
        let question = "select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14";
        let mut statement = connection.prepare_cached(question).map_err(|error| error.to_string())?;
        let shard = statement.query_row(rusqlite::params_from_iter(values), shard_of_row).map_err(|error| error.to_string())?;
        Ok(shard.origins.to_string())
    })
}

/// A list of origins, read and written again.
pub fn origins(text: &str) -> Result<String, String> {
    text.parse::<Origins>().map(|origins| origins.to_string()).map_err(|error| error.to_string())
}
