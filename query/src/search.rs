//! Searching: from a request to storage's question, and back.

use needle_storage::predicate::Predicate;
use needle_storage::{Coverage, Found, Search};

use crate::answer::{Completeness, CompletenessState, Order, SearchAnswer, SearchRequest};
use crate::cursor;
use crate::error::{QueryError, predicate_in};
use crate::limits::SEARCH_LIMIT_MAX;

/// What a request asks of storage.
pub(crate) fn plan(request: &SearchRequest) -> Result<Search, QueryError> {
    if request.limit == 0 {
        return Err(QueryError::Parameter("limit is 0: ask for at least 1".to_owned()));
    }
    let predicate = predicate_in_range(request)?;
    let after = request.cursor.as_deref().map(|text| cursor::to_record(request.order, text)).transpose()?;
    Ok(Search {
        predicate,
        start: request.start,
        end: request.end,
        ascending: request.order == Order::Ascending,
        after,
        limit: request.limit.min(SEARCH_LIMIT_MAX),
    })
}

/// The predicate of a request whose time range is one.
pub(crate) fn predicate_in_range(request: &SearchRequest) -> Result<Predicate, QueryError> {
    predicate_in(&request.query, request.start, request.end)
}

/// The answer of what was found.
pub(crate) fn answer(found: Found, order: Order) -> SearchAnswer {
    let last = found.records.last().filter(|_| found.more).map(|record| (record.common().time, record.common().record_id));
    SearchAnswer {
        next_cursor: last.map(|place| cursor::of_record(order, place)),
        records: found.records,
        notes: Vec::new(),
        completeness: completeness(&found.coverage),
    }
}

/// What was searched, and what was not.
pub(crate) fn completeness(coverage: &Coverage) -> Completeness {
    let state = if coverage.failures.is_empty() { CompletenessState::Complete } else { CompletenessState::Partial };
    Completeness {
        state,
        reasons: coverage.failures.clone(),
        shards_searched: coverage.shards_searched,
        shards_failed: coverage.shards_failed(),
    }
}

#[cfg(test)]
mod tests {
    use needle_storage::model::{Common, Log, Record, RecordId, UnixNanos};

    use super::*;

    fn request() -> SearchRequest {
        SearchRequest { query: "a".to_owned(), limit: 10, ..SearchRequest::default() }
    }

    #[test]
    fn the_cursor_of_a_page_is_where_the_next_begins() {
        let log = |time, id| {
            Record::Log(Log { common: Common { time: UnixNanos(time), record_id: RecordId(id), ..Common::default() }, ..Log::default() })
        };
        let found = Found { records: vec![log(9, 1), log(7, 4)], more: true, coverage: Coverage::default() };
        let answered = answer(found.clone(), Order::Descending);
        let next = SearchRequest { cursor: answered.next_cursor, ..request() };
        assert_eq!(plan(&next).expect("a plan").after, Some((UnixNanos(7), RecordId(4))));
        assert_eq!(answer(Found { more: false, ..found }, Order::Descending).next_cursor, None);
    }

    #[test]
    fn unusable_parameters_are_refused_with_a_sentence() {
        let refused = |request: SearchRequest| plan(&request).expect_err("refused").to_string();
        assert!(refused(SearchRequest { limit: 0, ..request() }).contains("at least 1"));
        assert!(refused(SearchRequest { cursor: Some("x".to_owned()), ..request() }).contains("not one of ours"));
        assert!(refused(SearchRequest { start: Some(UnixNanos(2)), end: Some(UnixNanos(1)), ..request() }).contains("swap them"));
        let QueryError::Language { position, caret, .. } =
            plan(&SearchRequest { query: "kind:x".to_owned(), ..request() }).expect_err("refused")
        else {
            panic!("a language error")
        };
        assert_eq!((position, caret.as_str()), (5, "kind:x\n     ^"));
    }

    #[test]
    fn an_unread_shard_makes_the_answer_partial() {
        let coverage = Coverage { shards_searched: 3, failures: vec!["shard x: checksum".to_owned()] };
        let completeness = completeness(&coverage);
        assert_eq!((completeness.state, completeness.shards_failed), (CompletenessState::Partial, 1));
        assert_eq!(completeness.reasons, ["shard x: checksum"]);
    }
}
