//! The catalog in a SQLite file.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Catalog, CatalogError, Deletion, Origins, Position, Publication, SeenRequest, ShardMeta, sums};
use crate::model::{IdTerm, RecordId, Signal, Tenant, UnixNanos};
use crate::retention::Retention;
use crate::shard::Tail;
use crate::tombstones::Tombstone;
use crate::wal::Sequence;

pub(crate) const FORMAT: u32 = 4;
/// Pages after which the journal is written into the catalog, and that it may keep room for. SQLite's own 1,000 took more than the
/// ids of a million records.
const JOURNAL_PAGES: u32 = 64;
/// SQLite's own choice.
const PAGE_BYTES: u32 = 4 << 10;

const TABLES: &str = "
create table shards (
    id text not null, tenant text not null, signal text not null, path text not null,
    time_min integer not null, time_max integer not null,
    record_min integer not null, record_max integer not null,
    rows integer not null, bytes integer not null, format integer not null,
    tail_offset integer not null, tail_crc32 integer not null, origins text not null,
    primary key (tenant, signal, id)
) strict, without rowid;
create table position (
    one integer primary key check (one = 1), sealed integer not null, next_record integer not null, next_origin integer not null
) strict;
insert into position values (1, 0, 1, 1);
create table replaced (path text primary key) strict, without rowid;
create table seen (digest blob primary key, arrival integer not null, records integer not null) strict, without rowid;
create table tombstones (
    number integer primary key autoincrement, tenant text not null, term blob not null,
    before_record integer not null, deleted_at integer not null
) strict;
";

pub(super) const SELECT_SHARDS: &str = "select id, tenant, signal, path, time_min, time_max, record_min, record_max, rows, bytes, format,
     tail_offset, tail_crc32, origins from shards";
pub(super) const SELECT_POSITION: &str = "select sealed, next_record, next_origin from position";
pub(super) const SELECT_SEEN: &str = "select digest, arrival, records from seen";

/// Since format 4.
const RETENTION_TABLE: &str = "create table retention (one integer primary key check (one = 1), rules text not null) strict;";

/// From format 1: each shard there is counts as a seal of its own.
const NUMBER_SEALS: &str = "
alter table shards add column origins text not null default '';
update shards set origins = numbered.number from
    (select path, cast(row_number() over (order by record_min, path) as text) as number from shards) as numbered
    where numbered.path = shards.path;
alter table position add column next_origin integer not null default 1;
update position set next_origin = (select count(*) + 1 from shards);
create table tombstones (
    number integer primary key autoincrement, tenant text not null, term blob not null,
    before_record integer not null, deleted_at integer not null
) strict;
";

/// A catalog in one file.
#[derive(Debug)]
pub(crate) struct SqliteCatalog {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteCatalog {
    /// Opens the catalog, makes it when there is none, and checks that it is sound.
    pub(crate) fn open(path: &Path) -> Result<SqliteCatalog, CatalogError> {
        let failed = |error| CatalogError::Sqlite { path: path.to_owned(), error };
        let connection = Connection::open(path).map_err(failed)?;
        sums::register(&connection).map_err(failed)?;
        // FULL: a publication that returned survives a power cut.
        let settings = format!(
            "pragma journal_mode = wal; pragma synchronous = full;
            pragma wal_autocheckpoint = {JOURNAL_PAGES}; pragma journal_size_limit = {};",
            JOURNAL_PAGES * PAGE_BYTES
        );
        connection.execute_batch(&settings).map_err(failed)?;
        let found: String = connection.query_row("pragma quick_check", [], |row| row.get(0)).map_err(failed)?;
        if found != "ok" {
            return Err(CatalogError::Damaged { path: path.to_owned(), found });
        }
        match connection.query_row("pragma user_version", [], |row| row.get::<_, u32>(0)).map_err(failed)? {
            0 => in_one_transaction(&connection, &[TABLES, RETENTION_TABLE, &sums::add_sums()]).map_err(failed)?,
            1 => in_one_transaction(&connection, &[NUMBER_SEALS, RETENTION_TABLE, &sums::add_sums()]).map_err(failed)?,
            2 => in_one_transaction(&connection, &[RETENTION_TABLE, &sums::add_sums()]).map_err(failed)?,
            3 => in_one_transaction(&connection, &[RETENTION_TABLE, &sums::add_sum(sums::RETENTION)]).map_err(failed)?,
            FORMAT => {}
            found => return Err(CatalogError::Newer { path: path.to_owned(), found, known: FORMAT }),
        }
        if let Some(found) = sums::damaged(&connection).map_err(failed)? {
            return Err(CatalogError::Damaged { path: path.to_owned(), found });
        }
        Ok(SqliteCatalog { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    pub(super) fn with<T>(&self, action: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, CatalogError> {
        action(&mut self.connection.lock()).map_err(|error| CatalogError::Sqlite { path: self.path.clone(), error })
    }
}

impl Catalog for SqliteCatalog {
    fn shards(&self) -> Result<Vec<ShardMeta>, CatalogError> {
        self.with(|connection| connection.prepare(&format!("{SELECT_SHARDS} order by time_max"))?.query_map([], shard)?.collect())
    }

    fn position(&self) -> Result<Position, CatalogError> {
        self.with(|connection| connection.query_row(SELECT_POSITION, [], position))
    }

    fn seen(&self) -> Result<Vec<SeenRequest>, CatalogError> {
        self.with(|connection| connection.prepare(&format!("{SELECT_SEEN} order by arrival"))?.query_map([], seen)?.collect())
    }

    fn publish(&self, publication: &Publication) -> Result<(), CatalogError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            for shard in &publication.shards {
                insert_shard(&transaction, shard)?;
            }
            transaction.execute(
                "update position set sealed = ?1, next_record = ?2, next_origin = max(next_origin, ?3),
                 sum = checksum(?1, ?2, max(next_origin, ?3))",
                params![publication.position.sealed.0 as i64, publication.position.next_record.0 as i64, publication.position.next_origin],
            )?;
            transaction.execute("delete from seen where arrival < ?1", params![publication.seen_since.saturating_i64()])?;
            for request in &publication.seen {
                transaction.execute(
                    "insert or ignore into seen values (?1, ?2, ?3, checksum(?1, ?2, ?3))",
                    params![request.digest, request.arrival.saturating_i64(), request.records],
                )?;
            }
            transaction.commit()
        })
    }

    fn replace(&self, written: Option<&ShardMeta>, replaced: &[&ShardMeta]) -> Result<(), CatalogError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            written.map(|shard| insert_shard(&transaction, shard)).transpose()?;
            for shard in replaced {
                transaction.execute("delete from shards where path = ?1", params![shard.path])?;
                transaction.execute("insert or ignore into replaced values (?1, checksum(?1))", params![shard.path])?;
            }
            transaction.commit()
        })
    }

    fn replaced(&self) -> Result<Vec<String>, CatalogError> {
        self.with(|connection| connection.prepare("select path from replaced")?.query_map([], |row| row.get(0))?.collect())
    }

    fn forget_replaced(&self, paths: &[&str]) -> Result<(), CatalogError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            for path in paths {
                transaction.execute("delete from replaced where path = ?1", params![path])?;
            }
            transaction.commit()
        })
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>, CatalogError> {
        self.with(|connection| {
            connection.prepare("select number, tenant, term, before_record from tombstones")?.query_map([], tombstone)?.collect()
        })
    }

    fn bury(&self, deletion: &Deletion<'_>) -> Result<Vec<Tombstone>, CatalogError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            let mut tombstones = Vec::with_capacity(deletion.terms.len());
            for term in deletion.terms {
                tombstones.push(transaction.query_row(
                    "insert into tombstones (tenant, term, before_record, deleted_at, sum)
                     values (?1, ?2, ?3, ?4, checksum(?1, ?2, ?3, ?4))
                     returning number, tenant, term, before_record",
                    params![deletion.tenant.as_str(), term.as_bytes(), deletion.before.0 as i64, deletion.time.saturating_i64()],
                    tombstone,
                )?);
            }
            transaction.commit()?;
            Ok(tombstones)
        })
    }

    fn forget_tombstones(&self, numbers: &[u64]) -> Result<(), CatalogError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            for number in numbers {
                transaction.execute("delete from tombstones where number = ?1", params![*number as i64])?;
            }
            transaction.commit()
        })
    }

    fn retention(&self) -> Result<Option<Retention>, CatalogError> {
        self.with(|connection| connection.query_row("select rules from retention", [], retention).optional())
    }

    fn note_retention(&self, retention: &Retention) -> Result<(), CatalogError> {
        let rules = serde_json::to_string(retention).expect("a retention is a plain struct");
        self.with(|connection| {
            connection.execute("insert or replace into retention values (1, ?1, checksum(?1))", params![rules]).map(|_| ())
        })
    }
}

/// Makes or changes tables: all of it or nothing.
fn in_one_transaction(connection: &Connection, statements: &[&str]) -> rusqlite::Result<()> {
    let statements = statements.concat();
    connection.execute_batch(&format!("begin immediate; {statements} pragma user_version = {FORMAT}; commit;"))
}

fn insert_shard(connection: &Connection, shard: &ShardMeta) -> rusqlite::Result<usize> {
    connection.execute(
        "insert or replace into shards values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
         checksum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14))",
        params![
            shard.id,
            shard.tenant.as_str(),
            shard.signal.as_str(),
            shard.path,
            shard.time_min.saturating_i64(),
            shard.time_max.saturating_i64(),
            shard.record_min.0 as i64,
            shard.record_max.0 as i64,
            shard.rows as i64,
            shard.bytes as i64,
            shard.format,
            shard.tail.offset as i64,
            shard.tail.crc32,
            shard.origins.to_string(),
        ],
    )
}

pub(super) fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position { sealed: Sequence(unsigned(row, 0)?), next_record: RecordId(unsigned(row, 1)?), next_origin: row.get(2)? })
}

pub(super) fn seen(row: &Row<'_>) -> rusqlite::Result<SeenRequest> {
    Ok(SeenRequest { digest: row.get(0)?, arrival: UnixNanos(unsigned(row, 1)?), records: row.get(2)? })
}

fn retention(row: &Row<'_>) -> rusqlite::Result<Retention> {
    serde_json::from_str(&row.get::<_, String>(0)?).map_err(|error| unusable(0, error))
}

fn tombstone(row: &Row<'_>) -> rusqlite::Result<Tombstone> {
    Ok(Tombstone {
        number: unsigned(row, 0)?,
        tenant: tenant(row, 1)?,
        term: IdTerm::from_bytes(&row.get::<_, Vec<u8>>(2)?),
        before: RecordId(unsigned(row, 3)?),
    })
}

fn tenant(row: &Row<'_>, column: usize) -> rusqlite::Result<Tenant> {
    let name: String = row.get(column)?;
    Tenant::new(&name).map_err(|error| unusable(column, error))
}

pub(crate) fn shard(row: &Row<'_>) -> rusqlite::Result<ShardMeta> {
    let signal: String = row.get(2)?;
    // A column saturates in the year 2262; what lies beyond is later than everything else.
    let time_max = match row.get(5)? {
        i64::MAX => UnixNanos::MAX,
        nanos => UnixNanos::from_column(nanos),
    };
    Ok(ShardMeta {
        id: row.get(0)?,
        tenant: tenant(row, 1)?,
        signal: Signal::ALL.into_iter().find(|known| known.as_str() == signal).ok_or_else(|| unusable(2, SignalError(signal)))?,
        path: row.get(3)?,
        time_min: UnixNanos::from_column(row.get(4)?),
        time_max,
        record_min: RecordId(unsigned(row, 6)?),
        record_max: RecordId(unsigned(row, 7)?),
        rows: unsigned(row, 8)?,
        bytes: unsigned(row, 9)?,
        format: row.get(10)?,
        tail: Tail { offset: unsigned(row, 11)?, crc32: row.get(12)? },
        origins: row.get::<_, String>(13)?.parse::<Origins>().map_err(|error| unusable(13, error))?,
    })
}

#[derive(Debug, thiserror::Error)]
#[error("unknown signal {0:?}")]
struct SignalError(String);

fn unusable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str) -> ShardMeta {
        ShardMeta {
            id: id.to_owned(),
            tenant: Tenant::default(),
            signal: Signal::Spans,
            path: format!("default/spans/2026-01-01/{id}.parquet"),
            time_min: UnixNanos(5),
            time_max: UnixNanos::MAX,
            record_min: RecordId(1),
            record_max: RecordId(9),
            rows: 9,
            bytes: 1000,
            format: 1,
            tail: Tail { offset: 900, crc32: u32::MAX },
            origins: Origins::one(5),
        }
    }

    #[test]
    fn a_publication_survives_and_may_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let seen = SeenRequest { digest: [7; 16], arrival: UnixNanos(100), records: 3 };
        let publication = Publication {
            shards: vec![shard("a"), shard("b")],
            position: Position { sealed: Sequence(4), next_record: RecordId(10), next_origin: 3 },
            seen: vec![seen],
            seen_since: UnixNanos(50),
        };
        let catalog = SqliteCatalog::open(&path).unwrap();
        assert_eq!(catalog.position().unwrap(), Position { sealed: Sequence(0), next_record: RecordId(1), next_origin: 1 });
        catalog.publish(&publication).unwrap();
        catalog.publish(&publication).unwrap();
        drop(catalog);
        let catalog = SqliteCatalog::open(&path).unwrap();
        assert_eq!(catalog.shards().unwrap(), publication.shards);
        assert_eq!(catalog.position().unwrap(), publication.position);
        assert_eq!(catalog.seen().unwrap(), [seen]);
        catalog.publish(&Publication { seen_since: UnixNanos(101), ..publication.clone() }).unwrap();
        assert_eq!(catalog.seen().unwrap(), [seen], "what is published is kept even when it is old");
        catalog.publish(&Publication { seen: Vec::new(), seen_since: UnixNanos(101), ..publication }).unwrap();
        assert_eq!(catalog.seen().unwrap(), []);
    }

    /// As the first version made it, with what two seals and a merge left in it.
    const FORMAT_1: &str = "
        create table shards (
            id text not null, tenant text not null, signal text not null, path text not null,
            time_min integer not null, time_max integer not null,
            record_min integer not null, record_max integer not null,
            rows integer not null, bytes integer not null, format integer not null,
            tail_offset integer not null, tail_crc32 integer not null,
            primary key (tenant, signal, id)
        ) strict, without rowid;
        create table position (one integer primary key check (one = 1), sealed integer not null, next_record integer not null) strict;
        insert into position values (1, 9, 41);
        create table replaced (path text primary key) strict, without rowid;
        create table seen (digest blob primary key, arrival integer not null, records integer not null) strict, without rowid;
        insert into shards values
            ('b', 'default', 'spans', 'default/spans/2026-01-01/b.parquet', 5, 9223372036854775807, 20, 40, 9, 1000, 1, 900, 4294967295),
            ('a', 'default', 'spans', 'default/spans/2026-01-01/a.parquet', 5, 9223372036854775807, 1, 19, 9, 1000, 1, 900, 4294967295);
        insert into replaced values ('default/spans/2026-01-01/c.parquet');
        pragma user_version = 1;";

    #[test]
    fn a_catalog_of_the_first_format_is_brought_to_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        Connection::open(&path).unwrap().execute_batch(FORMAT_1).unwrap();
        for time in ["the first", "the second"] {
            let catalog = SqliteCatalog::open(&path).unwrap();
            let origins: Vec<(String, String)> =
                catalog.shards().unwrap().into_iter().map(|shard| (shard.id, shard.origins.to_string())).collect();
            assert_eq!(origins.len(), 2, "opened {time} time");
            assert!(origins.contains(&("a".to_owned(), "1".to_owned())) && origins.contains(&("b".to_owned(), "2".to_owned())));
            assert_eq!(catalog.position().unwrap(), Position { sealed: Sequence(9), next_record: RecordId(41), next_origin: 3 });
            assert_eq!(catalog.replaced().unwrap(), ["default/spans/2026-01-01/c.parquet"]);
        }
    }

    #[test]
    fn numbers_of_seals_are_never_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = SqliteCatalog::open(&folder.path().join("catalog.db")).unwrap();
        for next_origin in [7, 3] {
            let position = Position { next_origin, ..catalog.position().unwrap() };
            catalog.publish(&Publication { position, ..Publication::default() }).unwrap();
            assert_eq!(catalog.position().unwrap().next_origin, 7);
        }
    }

    #[test]
    fn tombstones_stay_until_they_are_forgotten_and_their_numbers_do_not_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let terms = ["order-7", "5af7183fb1d4cf5f"].map(|id| crate::model::NormalId::of(id).unwrap().term());
        let deletion = Deletion { tenant: &Tenant::default(), terms: &terms, before: RecordId(8), time: UnixNanos(5) };
        let catalog = SqliteCatalog::open(&path).unwrap();
        let buried = catalog.bury(&deletion).unwrap();
        assert_eq!(
            buried.iter().map(|tombstone| (&tombstone.term, tombstone.before)).collect::<Vec<_>>(),
            [(&terms[0], RecordId(8)), (&terms[1], RecordId(8))]
        );
        drop(catalog);
        let catalog = SqliteCatalog::open(&path).unwrap();
        assert_eq!(catalog.tombstones().unwrap(), buried);
        catalog.forget_tombstones(&buried.iter().map(|tombstone| tombstone.number).collect::<Vec<_>>()).unwrap();
        assert_eq!(catalog.tombstones().unwrap(), []);
        assert!(catalog.bury(&deletion).unwrap()[0].number > buried[1].number);
    }

    #[test]
    fn the_journal_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = SqliteCatalog::open(&folder.path().join("catalog.db")).unwrap();
        for n in 0..300 {
            catalog.publish(&Publication { shards: vec![shard(&format!("{n:03}"))], ..Publication::default() }).unwrap();
        }
        let journal = std::fs::metadata(folder.path().join("catalog.db-wal")).unwrap().len();
        assert!(journal < 2 * u64::from(JOURNAL_PAGES * PAGE_BYTES), "{journal} bytes");
    }

    #[test]
    fn a_full_disk_publishes_nothing_by_halves_and_later_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = SqliteCatalog::open(&folder.path().join("catalog.db")).unwrap();
        let position = Position { sealed: Sequence(4), ..catalog.position().unwrap() };
        let many: Vec<ShardMeta> = (0..500).map(|n| shard(&format!("{n:03}"))).collect();
        let publication = Publication { shards: many, position, ..Publication::default() };
        // SQLite says of a file that may not grow what it says of a disk that is full.
        let pages: u32 = catalog.with(|connection| connection.query_row("pragma page_count", [], |row| row.get(0))).unwrap();
        let allow =
            |pages: u32| catalog.with(|connection| connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(())));
        allow(pages + 3).unwrap();
        let refusal = catalog.publish(&publication).unwrap_err().to_string();
        assert!(refusal.contains("free some space"), "{refusal}");
        assert_eq!((catalog.shards().unwrap(), catalog.position().unwrap().sealed), (Vec::new(), Sequence(0)));
        allow(1_000_000).unwrap();
        catalog.publish(&publication).unwrap();
        assert_eq!((catalog.shards().unwrap().len(), catalog.position().unwrap().sealed), (500, Sequence(4)));
    }

    #[test]
    fn the_retention_is_what_was_last_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let week = Retention { logs_ms: Some(7 * 86_400_000), ..Retention::default() };
        let catalog = SqliteCatalog::open(&path).unwrap();
        assert_eq!(catalog.retention().unwrap(), None);
        for noted in [Retention::default(), week] {
            catalog.note_retention(&noted).unwrap();
            assert_eq!(SqliteCatalog::open(&path).unwrap().retention().unwrap(), Some(noted));
        }
    }

    #[test]
    fn shards_end_in_one_transaction_with_what_takes_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = SqliteCatalog::open(&folder.path().join("catalog.db")).unwrap();
        let (a, b, merged) = (shard("a"), shard("b"), shard("a-b"));
        catalog.publish(&Publication { shards: vec![a.clone(), b.clone()], ..Publication::default() }).unwrap();
        catalog.replace(Some(&merged), &[&a, &b]).unwrap();
        assert_eq!((catalog.shards().unwrap(), catalog.replaced().unwrap()), (vec![merged.clone()], vec![a.path.clone(), b.path.clone()]));
        catalog.replace(None, &[&merged]).unwrap();
        assert_eq!(catalog.shards().unwrap(), []);
        catalog.forget_replaced(&[&a.path, &b.path]).unwrap();
        assert_eq!(catalog.replaced().unwrap(), [merged.path]);
    }

    #[test]
    fn a_number_that_is_not_what_was_written_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let publication = Publication {
            shards: vec![shard("a")],
            seen: vec![SeenRequest { digest: [7; 16], arrival: UnixNanos(100), records: 3 }],
            ..Publication::default()
        };
        let catalog = SqliteCatalog::open(&path).unwrap();
        catalog.publish(&publication).unwrap();
        catalog.replace(Some(&shard("b")), &[&shard("a")]).unwrap();
        let term = crate::model::NormalId::of("order-7").unwrap().term();
        catalog.bury(&Deletion { tenant: &Tenant::default(), terms: &[term], before: RecordId(8), time: UnixNanos(5) }).unwrap();
        catalog.note_retention(&Retention::default()).unwrap();
        drop(catalog);
        for (table, column) in [
            ("shards", "time_max"),
            ("position", "sealed"),
            ("replaced", "path"),
            ("seen", "arrival"),
            ("tombstones", "before_record"),
            ("retention", "rules"),
        ] {
            let change = |how: &str| {
                Connection::open(&path).unwrap().execute_batch(&format!("update {table} set {column} = {column} {how}")).unwrap();
            };
            let is_text = ["path", "rules"].contains(&column);
            let (there, back) = if is_text { ("|| 'x'", "") } else { ("- 1", "+ 1") };
            change(there);
            let refusal = SqliteCatalog::open(&path).unwrap_err().to_string();
            assert!(refusal.contains(&format!("1 rows of {table} do not have their checksum")), "{refusal}");
            if is_text {
                Connection::open(&path).unwrap().execute_batch(&format!("delete from {table}")).unwrap();
            } else {
                change(back);
            }
            SqliteCatalog::open(&path).unwrap();
        }
    }

    #[test]
    fn a_newer_or_damaged_catalog_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        SqliteCatalog::open(&path).unwrap().with(|connection| connection.execute_batch("pragma user_version = 99")).unwrap();
        assert!(matches!(SqliteCatalog::open(&path), Err(CatalogError::Newer { found: 99, .. })));
        std::fs::write(&path, "not a database, but long enough to be looked at as one").unwrap();
        assert!(SqliteCatalog::open(&path).is_err());
    }
}
