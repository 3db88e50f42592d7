//! Every bound of this room, and how they relate.

/// A longer query is refused: nobody types it, and its caret line could not be read.
pub(crate) const QUERY_BYTES_MAX: usize = 32 << 10;
/// Parentheses deeper than this are refused, so that the parser's and the evaluation's stack is bounded.
pub(crate) const QUERY_DEPTH_MAX: usize = 64;
/// Words, phrases and field tests in one query.
pub(crate) const QUERY_TERMS_MAX: usize = 2_048;
/// Regular expressions, and wildcards within words, in one query: each is compiled, and may take [`REGEX_BYTES_MAX`] twice.
pub(crate) const QUERY_PATTERNS_MAX: usize = 32;
/// Size of one compiled regular expression, and of what its search keeps.
pub(crate) const REGEX_BYTES_MAX: usize = 1 << 20;
/// Records of one search page; a larger limit is cut to it and the cursor leads on.
pub(crate) const SEARCH_LIMIT_MAX: usize = 100_000;
/// Records read at a time while journeys are looked for.
pub(crate) const JOURNEYS_SCAN_RECORDS: usize = 512;
/// Journeys of one page; a larger limit is cut to it and the cursor leads on.
pub(crate) const JOURNEYS_LIMIT_MAX: usize = 1_000;

/// Records of a journey that are read as a whole while it is stitched; of a larger one outlines, and the page as a whole.
pub(crate) const JOURNEY_WHOLE_MAX: usize = 10_000;
/// Nodes of a page of a journey, unless another number is asked for.
pub(crate) const PAGE_NODES_DEFAULT: usize = 10_000;
/// Logs of a page of a journey: it ends earlier where there are more on its nodes.
/// (In tests few, so that small journeys have such pages too.)
pub(crate) const PAGE_LOGS_MAX: usize = if cfg!(test) { 200 } else { 20_000 };
/// Buckets of a histogram unless told otherwise: bars of a pleasant width on a screen.
pub(crate) const HISTOGRAM_BUCKETS: usize = 60;
/// Buckets of a histogram: a day by ten seconds.
pub(crate) const HISTOGRAM_BUCKETS_MAX: usize = 10_000;
/// Values of a field that are shown by themselves unless told otherwise: more colours nobody tells apart.
pub(crate) const VALUES: usize = 20;
/// Values of a field that are shown by themselves.
pub(crate) const VALUES_MAX: usize = 1_000;

/// Durations of one service, or of the calls between two, that are kept by themselves for their percentiles; more are
/// counted in buckets.
pub(crate) const DURATIONS_EXACT_MAX: usize = if cfg!(test) { 1_000 } else { 1 << 16 };
/// Services that are counted apart.
pub(crate) const SERVICES_MAX: usize = if cfg!(test) { 100 } else { 10_000 };

/// Spans whose parents are looked for at a time; of more, those of some traces at a time, and the columns are read again.
/// (In tests few, so that all of this happens.)
pub(crate) const GRAPH_SPANS_AT_ONCE: u64 = if cfg!(test) { 16 } else { 1 << 20 };
/// Peers that are not services, and pairs of caller and callee, that are counted apart.
pub(crate) const GRAPH_EDGES_MAX: usize = 10_000;
/// Journeys that are stitched to see who calls services that only log: a second's work.
pub(crate) const GRAPH_JOURNEYS_MAX: usize = if cfg!(test) { 8 } else { 300 };
/// Different ids that are told apart to count them.
pub(crate) const GRAPH_IDS_MAX: usize = if cfg!(test) { 32 } else { 1 << 20 };
/// Patterns that are shown unless told otherwise.
pub(crate) const PATTERNS: usize = 50;
/// Patterns that are shown.
pub(crate) const PATTERNS_MAX: usize = 1_000;
/// Buckets of a pattern unless told otherwise: a line of a terminal holds them.
pub(crate) const PATTERN_BUCKETS: usize = 24;
/// Buckets of a pattern: every shape of a message has so many numbers.
pub(crate) const PATTERN_BUCKETS_MAX: usize = 240;

/// Fields of a comparison unless told otherwise.
pub(crate) const COMPARE_FIELDS: usize = 20;
/// Fields of a comparison.
pub(crate) const COMPARE_FIELDS_MAX: usize = 1_000;
/// Values of a field that are compared in an answer: those that differ most.
pub(crate) const COMPARE_VALUES: usize = 10;
/// Columns of an aggregation: more no table shows.
pub(crate) const PIPE_COLUMNS_MAX: usize = 64;
/// Rows that an aggregation can be limited to.
pub(crate) const PIPE_LIMIT_MAX: usize = 1_000_000;
/// Length of an SQL statement.
pub(crate) const SQL_BYTES_MAX: usize = 32 << 10;
/// How deep expressions and queries of an SQL statement may be nested.
pub(crate) const SQL_DEPTH_MAX: usize = 50;
/// How often an SQL statement may read a table: each reading has threads of its own.
pub(crate) const SQL_SCANS_MAX: usize = 32;
/// Threads that read one table for one question.
pub(crate) const SCAN_THREADS_MAX: usize = 4;
/// Batches that wait between a thread that reads and the one that computes.
pub(crate) const SCAN_BATCHES_WAITING: usize = 2;
/// How often a running computation looks whether the asker is still there.
pub(crate) const WITHDRAWN_POLL_MS: u64 = 20;

/// A span is silent where it has neither child nor log for at least one of so many parts of the journey.
pub(crate) const GAP_SHARE: i64 = 10;
/// So many siblings of one service and name are worth a line of their own.
pub(crate) const SIBLINGS_MIN: usize = 5;

/// A span that is longer was most likely given a wrong time.
pub(crate) const LONG_SPAN_NS: i64 = 30 * 86_400_000_000_000;

/// Rounds of following ids from records to further ids.
pub(crate) const CLOSE_ROUNDS_MAX: usize = 32;
/// Ids followed for one journey.
pub(crate) const CLOSE_IDS_MAX: usize = 10_000;
/// Records after which no further id is followed for one journey.
pub(crate) const CLOSE_RECORDS_MAX: usize = 2_000_000;
/// An id found together with more other ids than this (traces or request ids) is a hub: a session, a
/// load test, a batch job. A retried request has a handful of traces, a fan-out by message a dozen.
pub(crate) const HUB_IDS_MAX: usize = 50;

/// A journey whose last record is younger than this may still be arriving. SDKs send spans every 5 s,
/// and a collector in between batches once more.
pub(crate) const SETTLE_NS: u64 = 10_000_000_000;
/// How far a named callee's lines may lie outside of the calling span before its clock is no longer blamed.
pub(crate) const CLOCK_ERROR_MAX_NS: i64 = 60_000_000_000;
/// Lines of a log-only service further apart than this are two visits, if different spans enclose them.
pub(crate) const VISIT_GAP_NS: i64 = 1_000_000_000;

/// By how much likelier than others a caller must be to be shown as the caller.
pub(crate) const DECIDED_BY: f64 = 2.0;
/// Candidates that are named where it is not decided.
pub(crate) const CANDIDATES_MAX: usize = 16;
/// How long after an answer its last line may have its time, before a clock or another call explains it: loggers write on
/// threads of their own, and container runtimes put the times at which they read.
pub(crate) const LATE_MAX_NS: i64 = 1_000_000;
/// How far the clock of a service may be off whose caller does not name it. Hosts that keep time are off by
/// milliseconds; with more allowed, any call would do.
pub(crate) const UNNAMED_CLOCK_ERROR_MAX_NS: i64 = 250_000_000;
/// Calls that are compared with one visit of a service that none of them names: those that began last before it.
pub(crate) const UNNAMED_CALLS_MAX: usize = 64;
/// Traces begun anew behind traces begun anew: how deep.
pub(crate) const ANEW_ROUNDS_MAX: usize = 8;

/// Processes whose clocks other journeys are asked about, for one journey.
pub(crate) const QUESTIONS_MAX: usize = 6;
/// Journeys that are asked about the clock of one process: a few agree on it to a millisecond.
pub(crate) const NEIGHBOURS_MAX: usize = 8;
/// How far away in time they are looked for, both ways: farther only if there are too few. Clocks drift, but not much in an hour.
pub(crate) const NEIGHBOURS_WITHIN_NS: [i64; 4] = [1_000_000_000, 16_000_000_000, 256_000_000_000, 4_096_000_000_000];
/// Larger journeys are not asked.
pub(crate) const NEIGHBOUR_RECORDS_MAX: usize = 1_000;
/// Journeys of which it is remembered what they told: a few kilobytes each.
pub(crate) const NEIGHBOURS_KEPT_MAX: usize = 4_096;

/// Records a tail reads at a time.
pub(crate) const TAIL_BATCH_RECORDS: usize = 1_000;
/// A tail that is further behind than this jumps to the present and says how many records it skipped.
pub(crate) const TAIL_BEHIND_RECORDS_MAX: u64 = 200_000;
/// Records that are looked at together for all tails; in between deletions and new tails are heeded.
pub(crate) const TAIL_ROUND_RECORDS: u64 = 8_192;
/// Time in milliseconds from one look at what was accepted to the next: what comes meanwhile is looked at together.
pub(crate) const TAIL_ROUND_MIN_MS: u64 = 20;
/// Memory for the latest matches of all tails of a tenant. A tail whose next match is no longer there reads the store.
pub(crate) const TAILS_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 32 << 20 };
/// Older matches a tail shows before it follows.
pub(crate) const TAIL_BACKFILL_MAX: usize = 10_000;

const _: () = {
    assert!(QUERY_TERMS_MAX < QUERY_BYTES_MAX, "a term is at least one byte and a blank");
    assert!(QUERY_PATTERNS_MAX * 2 * REGEX_BYTES_MAX <= 64 << 20, "all patterns of a query together");
    assert!(QUERY_DEPTH_MAX < 1_000, "the evaluation recurses as deep as the query");
    assert!(HUB_IDS_MAX < CLOSE_IDS_MAX, "a hub is found before the ids run out");
    assert!(JOURNEYS_LIMIT_MAX <= SEARCH_LIMIT_MAX);
    assert!(TAIL_ROUND_RECORDS * 10 < TAIL_BEHIND_RECORDS_MAX, "one slow round is no gap");
    assert!(TAIL_BATCH_RECORDS as u64 * 10 < TAIL_BEHIND_RECORDS_MAX, "one slow batch is no gap");
    assert!(TAIL_BACKFILL_MAX <= SEARCH_LIMIT_MAX);
    assert!(JOURNEY_WHOLE_MAX <= CLOSE_RECORDS_MAX);
    assert!(HISTOGRAM_BUCKETS <= HISTOGRAM_BUCKETS_MAX && VALUES <= VALUES_MAX);
    assert!(PATTERNS <= PATTERNS_MAX && PATTERN_BUCKETS <= PATTERN_BUCKETS_MAX && PATTERN_BUCKETS_MAX <= HISTOGRAM_BUCKETS_MAX);
    assert!(COMPARE_FIELDS <= COMPARE_FIELDS_MAX);
    assert!(
        SQL_SCANS_MAX * SCAN_THREADS_MAX < 512,
        "tokio gives out so many threads for blocking work; scans that wait for one would wait for ever"
    );
    assert!(LATE_MAX_NS < UNNAMED_CLOCK_ERROR_MAX_NS);
    assert!(VISIT_GAP_NS < CLOCK_ERROR_MAX_NS);
    assert!(UNNAMED_CLOCK_ERROR_MAX_NS < CLOCK_ERROR_MAX_NS, "a name weighs more than time");
};
