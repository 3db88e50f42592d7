//! A row of the catalog, with values of any type in any column.

use needle_storage::untrusted::{self, CATALOG_COLUMNS, CatalogValue};

use super::same;
use crate::Target;

pub(super) const CATALOG: Target = Target {
    name: "catalog",
    read: catalog,
    seeds,
    words: &["logs", "spans", "default", "1-8,10", "0-4294967295", "4294967295", "..", "/", "-", ","],
    bytes_max: 1024,
    memory_bytes: 1 << 20,
    short_runs: 20_000,
};

/// The kind of the value; then eight bytes, or a length and so many bytes.
fn value(rest: &mut &[u8]) -> CatalogValue {
    let Some((kind, after)) = rest.split_first() else { return CatalogValue::Null };
    *rest = after;
    match kind % 4 {
        0 => CatalogValue::Null,
        1 => {
            let (number, after) = rest.split_at(rest.len().min(8));
            *rest = after;
            CatalogValue::Integer(number.iter().fold(0, |sum: i64, byte| sum << 8 | i64::from(*byte)))
        }
        kind => {
            let length = rest.first().map_or(0, |length| usize::from(*length)).min(rest.len().saturating_sub(1));
            let bytes = rest.get(1..1 + length).unwrap_or_default().to_vec();
            *rest = rest.get(1 + length..).unwrap_or_default();
            if kind == 2 { CatalogValue::Text(String::from_utf8_lossy(&bytes).into_owned()) } else { CatalogValue::Blob(bytes) }
        }
    }
}

fn catalog(input: &[u8]) {
    let mut rest = input;
    let row: [CatalogValue; CATALOG_COLUMNS] = std::array::from_fn(|_| value(&mut rest));
    let origins = untrusted::catalog_row(&row);
    let text = String::from_utf8_lossy(rest);
    for origins in [origins, untrusted::origins(&text)].into_iter().flatten() {
        same(&untrusted::origins(&origins), &Ok(origins.clone()), "origins written and read again");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut row = Vec::new();
    let text = |row: &mut Vec<u8>, text: &str| {
        row.extend([2, text.len() as u8]);
        row.extend(text.as_bytes());
    };
    let number = |row: &mut Vec<u8>, number: i64| {
        row.push(1);
        row.extend(number.to_be_bytes());
    };
    ["0000000000000001-0000000000000002", "default", "logs", "default/logs/2026-06-01/x.parquet"]
        .iter()
        .for_each(|word| text(&mut row, word));
    [1_780_315_200_000_000_000, i64::MAX, 1, 9, 9, 40_000, 2, 30_000, 7].iter().for_each(|value| number(&mut row, *value));
    text(&mut row, "1-8,10");
    vec![row.clone(), [row.as_slice(), b"1-3,5,9-12"].concat()]
}
