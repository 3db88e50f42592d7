//! Checksums of rows. SQLite verifies that its pages are in order, not that they hold what was written: of a flipped
//! bit in a number it knows nothing. So each row carries a checksum of its columns, which SQLite computes by a
//! function of ours.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// The tables, and the columns that the checksum of a row covers. (The number of a deletion is SQLite's own.)
const COVERED: [(&str, &str); 6] = [
    (
        "shards",
        "id, tenant, signal, path, time_min, time_max, record_min, record_max, rows, bytes, format, tail_offset, tail_crc32, origins",
    ),
    ("position", "sealed, next_record, next_origin"),
    ("replaced", "path"),
    ("seen", "digest, arrival, records"),
    ("tombstones", "tenant, term, before_record, deleted_at"),
    (RETENTION, "rules"),
];

/// The table that is younger than checksums.
pub(super) const RETENTION: &str = "retention";

/// Teaches SQLite `checksum(...)`: CRC-32 of the type, the length and the bytes of each argument.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("checksum", -1, flags, |context| Ok(checksum(context)))
}

fn checksum(context: &Context<'_>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for at in 0..context.len() {
        let (kind, bytes) = match context.get_raw(at) {
            ValueRef::Null => (0, Vec::new()),
            ValueRef::Integer(number) => (1, number.to_le_bytes().to_vec()),
            ValueRef::Real(number) => (2, number.to_le_bytes().to_vec()),
            ValueRef::Text(text) => (3, text.to_vec()),
            ValueRef::Blob(bytes) => (4, bytes.to_vec()),
        };
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    hasher.finalize()
}

/// From format 2: the statements that give every row its checksum.
pub(super) fn add_sums() -> String {
    COVERED.map(|(table, _)| add_sum(table)).concat()
}

/// The statements that give every row of a table its checksum.
pub(super) fn add_sum(table: &str) -> String {
    let columns = covered(table);
    format!("alter table {table} add column sum integer not null default 0; update {table} set sum = checksum({columns});")
}

fn covered(table: &str) -> &'static str {
    COVERED.iter().find(|(name, _)| *name == table).map_or("", |(_, columns)| *columns)
}

/// What is not as it was written.
pub(super) fn damaged(connection: &Connection) -> rusqlite::Result<Option<String>> {
    for (table, columns) in COVERED {
        let count = format!("select count(*) from {table} where sum is not checksum({columns})");
        let rows: u64 = connection.query_row(&count, [], |row| row.get::<_, u32>(0).map(u64::from))?;
        if rows > 0 {
            return Ok(Some(format!("{rows} rows of {table} do not have their checksum")));
        }
    }
    let positions: u32 = connection.query_row("select count(*) from position", [], |row| row.get(0))?;
    Ok((positions != 1).then(|| format!("{positions} positions of the log instead of one")))
}

/// The rows of a table that can be read and are as they were written. `question` selects from it, without conditions.
pub(super) fn sound_rows<T>(
    connection: &Connection,
    table: &str,
    question: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let columns = covered(table);
    // An older format has no checksums.
    let prepared = connection.prepare(&format!("{question} where sum is checksum({columns})")).or_else(|_| connection.prepare(question));
    let Ok(mut statement) = prepared else { return Vec::new() };
    // After a page that cannot be read SQLite gives nothing more but errors.
    statement.query_map([], read).map(|rows| rows.map_while(Result::ok).collect()).unwrap_or_default()
}
