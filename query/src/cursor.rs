//! Where a page ended, as opaque text.

use needle_storage::model::{RecordId, UnixNanos};

use crate::answer::Order;
use crate::error::QueryError;

/// The place behind the last record of a page: order, time and record id, in hex.
pub(crate) fn of_record(order: Order, (time, record_id): (UnixNanos, RecordId)) -> String {
    format!("{}{:016x}{:016x}", letter(order), time.0, record_id.0)
}

/// Reads back what [`of_record`] wrote.
pub(crate) fn to_record(order: Order, cursor: &str) -> Result<(UnixNanos, RecordId), QueryError> {
    let digits = match cursor.chars().next() {
        Some(first @ ('a' | 'd')) if cursor.len() == 33 && cursor[1..].bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            if first != letter(order) {
                return Err(QueryError::Parameter("the cursor belongs to the other order: keep `order` while paging".to_owned()));
            }
            &cursor[1..]
        }
        _ => return Err(unreadable(cursor)),
    };
    let number = |hex: &str| u64::from_str_radix(hex, 16).map_err(|_| unreadable(cursor));
    Ok((UnixNanos(number(&digits[..16])?), RecordId(number(&digits[16..])?)))
}

fn letter(order: Order) -> char {
    match order {
        Order::Ascending => 'a',
        Order::Descending => 'd',
    }
}

/// Where a page of a journey begins: at a node in tree order, behind so many of its logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodePlace {
    pub(crate) node: usize,
    pub(crate) log: usize,
    /// The stitching that it is a place in; whichever there is, if none.
    pub(crate) stitching: Option<u64>,
}

/// The place behind the last node of a page, or the last log if it ends within a node.
pub(crate) fn of_node(place: NodePlace) -> String {
    let NodePlace { node, log, stitching } = place;
    match stitching {
        Some(stitching) => format!("n{node}.{log}.{stitching}"),
        None if log > 0 => format!("n{node}.{log}"),
        None => format!("n{node}"),
    }
}

/// Reads back what [`of_node`] wrote.
pub(crate) fn to_node(cursor: &str) -> Result<NodePlace, QueryError> {
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let numbers = cursor.strip_prefix('n').and_then(|place| place.split('.').map(number).collect::<Option<Vec<u64>>>());
    let place = |node, log, stitching| Some(NodePlace { node: usize::try_from(node).ok()?, log: usize::try_from(log).ok()?, stitching });
    let place = match numbers.as_deref() {
        Some([node]) => place(*node, 0, None),
        Some([node, log]) => place(*node, *log, None),
        Some([node, log, stitching]) => place(*node, *log, Some(*stitching)),
        _ => None,
    };
    place.ok_or_else(|| unreadable(cursor))
}

fn unreadable(cursor: &str) -> QueryError {
    let shown: String = cursor.chars().take(40).filter(|c| !c.is_control()).collect();
    QueryError::Parameter(format!("the cursor {shown:?} is not one of ours: pass `next_cursor` as it was given, or leave it out"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back(time: u64, id: u64, ascending: bool, node: usize, log: usize, stitching: Option<u64>) {
            let order = if ascending { Order::Ascending } else { Order::Descending };
            let place = (UnixNanos(time), RecordId(id));
            prop_assert_eq!(to_record(order, &of_record(order, place)).expect("our own"), place);
            let place = NodePlace { node, log, stitching };
            prop_assert_eq!(to_node(&of_node(place)).expect("our own"), place);
        }

        #[test]
        fn any_other_text_is_refused(text in "\\PC{0,40}") {
            prop_assume!(text.len() != 33);
            prop_assert!(matches!(to_record(Order::Descending, &text), Err(QueryError::Parameter(_))));
        }
    }

    #[test]
    fn a_cursor_of_the_other_order_is_refused() {
        let cursor = of_record(Order::Ascending, (UnixNanos(1), RecordId(2)));
        assert!(to_record(Order::Descending, &cursor).expect_err("refused").to_string().contains("other order"));
        for bad in ["n", "nx", "n-1", "n1.", "n.1", "n1.2.3.4", "n99999999999999999999999", "5", "é23456789012345678901234567890123"] {
            assert!(to_node(bad).is_err() && to_record(Order::Descending, bad).is_err(), "{bad}");
        }
    }
}
