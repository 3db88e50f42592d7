//! Statements over known records: what they answer, what they refuse, what they read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use needle_storage::model::Value;
use proptest::prelude::*;

use super::*;
use crate::sample::{Row, SECOND, START, Sample, any_row, texts};

fn memory() -> Memory {
    Memory::new(64 << 20)
}

fn asked(sample: &Sample, statement: &str) -> Result<Vec<Vec<String>>, QueryError> {
    answer(&sample.source(), &memory(), statement).map(|table| texts(&table))
}

fn rows(sample: &Sample, statement: &str) -> Vec<Vec<String>> {
    asked(sample, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
}

fn row(service: &'static str, second: u64, attributes: Vec<(&'static str, Value)>) -> Row {
    Row {
        span: false,
        second,
        service,
        severity: 17,
        text: "payment refused",
        duration_ns: 7,
        trace: 1,
        request: Some("req-7"),
        attributes,
    }
}

fn span(service: &'static str, second: u64, duration_ns: i64) -> Row {
    Row { span: true, text: "GET /cart", duration_ns, ..row(service, second, vec![("http.route", Value::String("/cart".to_owned()))]) }
}

/// Some records of two services.
fn shop() -> Sample {
    let code = |code| vec![("code", Value::Int(code)), ("share", Value::Double(0.5))];
    Sample::of(&[
        row("till", 1, code(200)),
        row("till", 2, code(500)),
        row("shelf", 3, Vec::new()),
        span("till", 1, 40),
        span("shelf", 2, 2),
    ])
}

#[test]
fn records_are_rows_under_the_names_of_the_api() {
    let sample = shop();
    let answer = sample.ask_in_every_state(|source| {
        let statement = "SELECT kind, timestamp, service, level, severity, severity_number, body, trace_id, request_ids, attributes FROM logs ORDER BY timestamp";
        texts(&super::answer(&source, &memory(), statement).expect("an answer"))
    });
    let (time, trace) = ((START + SECOND).to_string(), "01".repeat(16));
    let attributes = r#"{"code":200,"share":0.5}"#;
    assert_eq!(answer[0], ["log", &time, "till", "error", "ERROR", "17", "payment refused", &trace, "req-7", attributes]);
    assert_eq!(answer.len(), 3);
    let spans = rows(&sample, "SELECT name, status, span_kind, duration_ns, start FROM spans ORDER BY start");
    assert_eq!(spans[0], ["GET /cart", "error", "internal", "40", &time]);
    assert_eq!(rows(&sample, "SELECT count(*) FROM logs"), [["3"]]);
    assert_eq!(rows(&sample, "SELECT count(*) FROM logs CROSS JOIN spans"), [["6"]]);
}

#[test]
fn attributes_are_columns_by_their_names() {
    let sample = shop();
    let statement = r#"SELECT attributes['code'], "code", resource['host.name'], l.attributes['code'] + 1 AS next, attributes['nowhere']
                       FROM logs AS l WHERE "share" = 0.5 ORDER BY attributes['code'] DESC"#;
    let table = answer(&sample.source(), &memory(), statement).expect("an answer");
    let columns: Vec<(&str, &str)> = table.columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect();
    assert_eq!(
        columns,
        [
            ("attributes['code']", "int"),
            ("code", "int"),
            ("resource['host.name']", "string"),
            ("next", "int"),
            ("attributes['nowhere']", "string")
        ]
    );
    assert_eq!(texts(&table), [["500", "500", "h1", "501", "none"], ["200", "200", "h1", "201", "none"]]);
    let either = r#"SELECT "code" FROM logs WHERE service = 'shelf'"#;
    assert_eq!(rows(&sample, either), [["200"]], "else the resource's");
    let all = answer(&sample.source(), &memory(), "SELECT * FROM logs WHERE attributes['code'] >= 500").expect("an answer");
    assert_eq!(all.columns.len(), columns::of_records(Signal::Logs).len(), "a star is every record's columns and no others");
    assert_eq!(all.len(), 1);
    let named = "SELECT service AS code, count(*) AS share FROM logs GROUP BY code ORDER BY share";
    assert_eq!(rows(&sample, named), [["shelf", "1"], ["till", "2"]], "a name that the statement gives is no key");
    assert_eq!(rows(&sample, "SELECT \"code\" AS code, count(*) FROM logs GROUP BY code ORDER BY 2, 1").len(), 2);
    let joined = r#"SELECT count(*) FROM logs l JOIN spans s ON l.service = s.service WHERE s."http.route" = '/cart'"#;
    assert_eq!(rows(&sample, joined), [["3"]]);
}

#[test]
fn tables_and_columns_are_listed() {
    let sample = shop();
    assert_eq!(rows(&sample, "SHOW TABLES"), [["logs"], ["spans"]]);
    for statement in ["DESCRIBE logs", "SHOW COLUMNS FROM logs", "describe \"logs\""] {
        let columns = rows(&sample, statement);
        for (name, kind) in
            [("timestamp", "timestamp"), ("attributes", "json"), ("code", "int"), ("share", "double"), ("host.name", "string")]
        {
            assert!(columns.contains(&vec![name.to_owned(), kind.to_owned()]), "{statement}: {name} {kind} in {columns:?}");
        }
    }
}

#[test]
fn what_changes_or_reaches_beyond_the_tables_is_refused() {
    let sample = shop();
    let hostile = [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "DROP TABLE logs",
        "DROP SCHEMA public CASCADE",
        "ALTER TABLE logs ADD COLUMN a INT",
        "TRUNCATE TABLE logs",
        "INSERT INTO logs SELECT * FROM logs",
        "UPDATE logs SET service = 'x'",
        "DELETE FROM logs",
        "COPY logs TO '/tmp/stolen.csv'",
        "COPY (SELECT 1) TO 's3://bucket/x' STORED AS JSON",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "SHOW FUNCTIONS",
        "SHOW CREATE TABLE logs",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "BEGIN",
        "COMMIT",
        "EXPLAIN COPY logs TO '/tmp/x.csv'",
        "EXPLAIN ANALYZE INSERT INTO logs SELECT * FROM logs",
        "SELECT * INTO stolen FROM logs",
        "WITH x AS (INSERT INTO logs SELECT * FROM logs RETURNING 1) SELECT * FROM x",
        "SELECT * FROM logs FOR UPDATE",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd.csv\"",
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/x.parquet')",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM information_schema.tables",
        "SELECT repeat('x', 1000000000)",
        "SELECT lpad('x', 1000000000)",
        "SELECT array_repeat('x', 1000000000)",
        "SELECT range(0, 10000000000)",
        "SELECT getenv('HOME')",
        "SELECT array_agg(body) OVER (ORDER BY timestamp) FROM logs",
        "SELECT length(string_agg(body, ',') OVER (ORDER BY timestamp)) FROM logs",
        "SELECT * FROM (SELECT median(duration) OVER (ORDER BY timestamp ROWS 10 PRECEDING) AS m FROM spans) WHERE m > 1",
        "SELECT count(*) FROM logs WHERE service IN (SELECT array_to_string(array_agg(service) OVER (), '') FROM logs)",
        "SELECT sum(DISTINCT severity_number) OVER (ORDER BY timestamp) FROM logs",
        "SELECT 1; SELECT 2",
        "",
        ";",
    ];
    for statement in hostile {
        let error = asked(&sample, statement).expect_err(statement);
        assert!(matches!(error, QueryError::Statement(_) | QueryError::Language { .. }), "{statement}: {error:?}");
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(rows(&sample, "SELECT count(*) FROM logs"), [["3"]], "nothing changed");
}

#[test]
fn what_is_a_number_may_run_along() {
    let sample = shop();
    let running = "SELECT count(*) OVER (ORDER BY timestamp), count(DISTINCT service) OVER (ORDER BY timestamp), \
        lag(service) OVER (ORDER BY timestamp), row_number() OVER (PARTITION BY service ORDER BY timestamp) FROM logs ORDER BY timestamp";
    assert_eq!(rows(&sample, running), [["1", "1", "none", "1"], ["2", "1", "till", "2"], ["3", "2", "till", "1"]]);
}

#[test]
fn a_wrong_statement_says_where() {
    let sample = shop();
    for (statement, place, mend) in [
        ("SELECT servce FROM logs", "servce", "did you mean service?"),
        ("SELECT max(duration) FROM spans", "duration", "did you mean duration_ns?"),
        ("SELECT *\nFROM logs WHERE \"http.ruote\" = 'x'", "\"http.ruote\"", "attribute"),
        ("SELECT service FORM logs", "logs", "not SQL"),
        ("SELECT 'abc FROM logs", "'abc", "not SQL"),
    ] {
        let error = asked(&sample, statement).expect_err(statement);
        let QueryError::Language { message, position, caret } = error else { panic!("{statement}: no place in {error:?}") };
        assert!(statement[position..].starts_with(place), "{statement}: {position} {message}");
        assert!(message.contains(mend), "{statement}: {message}");
        assert!(caret.ends_with('^'));
    }
    for (statement, mend) in [
        ("SELECT * FROM lgos", "lgos"),
        ("SELECT no_such_function(1) FROM logs", "no_such_function"),
        ("SELECT a['x'] FROM (SELECT attributes AS a FROM logs)", ""),
        ("SELECT attributes['x'] FROM (SELECT attributes FROM logs)", "logs and spans only"),
        ("SELECT service, count(*) FROM logs", "GROUP BY"),
        ("SELECT CAST(service AS INT) FROM logs", "Cannot cast"),
    ] {
        let error = asked(&sample, statement).expect_err(statement).to_string();
        assert!(error.contains(mend) && !error.contains("backtrace"), "{statement}: {error}");
    }
}

/// How a statement is run, as text.
fn explained(sample: &Sample, statement: &str) -> String {
    rows(sample, &format!("EXPLAIN ANALYZE {statement}")).concat().join("\n")
}

#[test]
fn conditions_and_columns_are_pushed_down() {
    let sample = shop();
    sample.merge();
    let by_service = explained(&sample, "SELECT body FROM logs WHERE service = 'shelf'");
    assert!(by_service.contains("columns=[body]"), "{by_service}");
    assert!(!by_service.contains("FilterExec"), "the index and the column of services decide alone: {by_service}");
    assert!(by_service.contains("output_rows=1"), "rows of others are not read: {by_service}");
    let from = START + 2 * SECOND;
    let by_time =
        explained(&sample, "SELECT count(*) FROM logs WHERE timestamp >= '2026-03-01T03:00:02Z' AND timestamp < '2026-03-01T03:00:03Z'");
    assert!(by_time.contains("columns=[]") && by_time.contains(&format!("from={from}, before={}", from + SECOND)), "{by_time}");
    let by_key = explained(&sample, "SELECT max(attributes['share']) FROM logs WHERE attributes['code'] = 500");
    assert!(by_key.contains("columns=[attributes['code'], attributes['share']]"), "{by_key}");
    assert!(by_key.contains("output_rows=1") && by_key.contains("Attribute([\"code\"])"), "{by_key}");
    let by_id = explained(&sample, &format!("SELECT body FROM logs WHERE trace_id = '{}'", "02".repeat(16)));
    assert!(by_id.contains("Id(IdTest") && by_id.contains("output_rows=0"), "{by_id}");
}

const CONDITIONS: [&str; 59] = [
    "service = 'till'",
    "service != 'till'",
    "service = ''",
    "service IS NULL",
    "service IN ('till', 'shelf')",
    "NOT (service = 'till')",
    "service = 'till' OR \"http.route\" = '/cart'",
    "service = 'till' AND body = 'payment refused'",
    "service = 'till' OR body LIKE 'pay%'",
    "'shelf' = service",
    "timestamp >= '2026-03-01T03:01:00Z'",
    "timestamp > '2026-03-01T03:01:00Z' AND timestamp <= '2026-03-01T03:02:00Z'",
    "timestamp BETWEEN '2026-03-01T03:01:00Z' AND '2026-03-01T03:01:30Z'",
    "timestamp = '2026-03-01T03:00:07Z'",
    "timestamp < '1960-01-01T00:00:00Z'",
    "timestamp < '2026-03-01T03:01:00Z' OR service = 'till'",
    "severity_number >= 17",
    "severity_number < 9",
    "severity_number IS NULL",
    "severity = 'ERROR'",
    "level = 'error'",
    "level = 'ERROR'",
    "level IN ('warn', 'info')",
    "trace_id = '01010101010101010101010101010101'",
    "trace_id = '0101010101010101010101010101010101'",
    "trace_id = 'nothing'",
    "span_id = '0202020202020202'",
    "request_id = 'req-7'",
    "request_id = 'REQ-7'",
    "request_id = '7d3f9a5211c04f0e9a7b2f6f0b1c2d3e'",
    "array_has(request_ids, 'REQ-7')",
    "body = 'payment refused'",
    "body = 'Payment Refused'",
    "body LIKE '%refused'",
    "body LIKE 'a_b\\%c'",
    "body LIKE 'a_b%'",
    "body ~ 'pay.*ed'",
    "body IS NOT NULL",
    "\"http.route\" = '/cart'",
    "\"http.route\" = ''",
    "\"http.route\" LIKE '/c%'",
    "\"http.route\" LIKE '/c*t'",
    "\"http.route\" ~ '^/c'",
    "\"http.route\" > '/cart'",
    "\"http.route\" IS NULL",
    "attributes['code'] = 200",
    "\"code\" = 200",
    "\"code\" > 200 AND \"code\" <= 202",
    "attributes['code'] IS NOT NULL",
    "\"code\" = 200.0",
    "\"share\" = 0.5",
    "\"share\" > 0.7",
    "\"share\" < 0",
    "\"share\" <= 0.5 AND \"share\" != 1",
    "\"retried\" = true",
    "\"retried\"",
    "\"mixed\" = 'NaN'",
    "\"mixed\" IN ('1', 'true', '1e21', '[1,2]', '')",
    "\"mixed\" IS NOT NULL AND \"mixed\" != '1'",
];

const SPAN_CONDITIONS: [&str; 8] = [
    "duration_ns > 1000000",
    "duration_ns = -1",
    "duration_ns < 0 OR status = 'error'",
    "status = 'error'",
    "name = 'GET /cart'",
    "name LIKE 'GET%'",
    "span_kind = 'server'",
    "status = 'ERROR'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_condition_means_the_same_wherever_it_is_evaluated(mut random in prop::collection::vec(any_row(), 1..80)) {
        // Every key is there, so that it is a column.
        let text = || Value::String("1".to_owned());
        let keys = vec![("http.route", text()), ("code", Value::Int(1)), ("share", Value::Double(0.1)), ("retried", Value::Bool(true)), ("mixed", text())];
        random.push(row("till", 7, keys));
        let sample = Sample::of(&random);
        let of_logs = CONDITIONS.into_iter().map(|condition| ("logs", condition));
        let of_spans = CONDITIONS.into_iter().filter(|condition| !["severity", "level", "body"].iter().any(|log| condition.contains(log)));
        for (table, condition) in of_logs.chain(of_spans.chain(SPAN_CONDITIONS).map(|condition| ("spans", condition))) {
            let statement = |condition: &str| format!("SELECT record_id FROM {table} WHERE {condition} ORDER BY record_id");
            let told = sample.source();
            let answer = |source: &Source, condition: &str| texts(&super::answer(source, &memory(), &statement(condition)).unwrap_or_else(|error| panic!("{condition}: {error}")));
            let here = answer(&told, &format!("CASE WHEN {condition} THEN 1 ELSE 0 END = 1"));
            prop_assert_eq!(answer(&told, condition), here, "{} of {}", condition, table);
        }
        sample.merge();
        for condition in CONDITIONS {
            let statement = |condition: &str| format!("SELECT record_id FROM logs WHERE {condition} ORDER BY record_id");
            let here = rows(&sample, &statement(&format!("CASE WHEN {condition} THEN 1 ELSE 0 END = 1")));
            prop_assert_eq!(rows(&sample, &statement(condition)), here, "{}, merged", condition);
        }
    }
}

#[test]
fn what_takes_too_much_memory_is_refused_and_leaves_none_taken() {
    let many: Vec<Row> = (0..3_000).map(|second| span("till", second, second as i64)).collect();
    let sample = Sample::of(&many);
    let memory = Memory::new(256 << 10);
    for statement in [
        "SELECT a.record_id, b.record_id, c.record_id FROM spans a, spans b, spans c ORDER BY 1, 2, 3",
        "SELECT concat(a.trace_id, cast(a.record_id AS VARCHAR), cast(b.record_id AS VARCHAR)) AS each, count(*) FROM spans a, spans b GROUP BY each",
        "SELECT array_agg(a.record_id) FROM spans a, spans b",
        "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT concat(s, s) FROM t) SELECT count(*) FROM t",
        "SELECT a.*, b.attributes FROM spans a, spans b",
    ] {
        let error = answer(&sample.source(), &memory, statement).expect_err(statement);
        assert!(matches!(error, QueryError::TooLarge(_)), "{statement}: {error:?}");
    }
    assert_eq!(memory.0.reserved(), 0, "all memory was given back");
    assert_eq!(texts(&answer(&sample.source(), &memory, "SELECT count(*) FROM spans").expect("an answer")), [["3000"]]);
}

#[test]
fn a_statement_stops_when_its_asker_has_gone() {
    let many: Vec<Row> = (0..2_000).map(|second| span("till", second, 1)).collect();
    let sample = Sample::of(&many);
    let source = sample.source();
    let withdrawn = source.withdrawn.clone();
    let (asks, asked) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || {
        asks.send(()).expect("somebody waits");
        answer(
            &source,
            &memory(),
            "SELECT count(*) FROM spans a, spans b, spans c, spans d WHERE a.record_id + b.record_id + c.record_id < d.record_id",
        )
    });
    asked.recv_timeout(Duration::from_secs(60)).expect("it has begun");
    withdrawn.store(true, Ordering::Relaxed);
    let error = running.join().expect("no panic").expect_err("sixteen million million rows");
    assert!(error.to_string().contains("cancelled"), "{error}");
}

#[test]
fn tables_are_read_a_bounded_number_of_times() {
    let sample = shop();
    let often = vec!["SELECT count(*) FROM logs"; 40].join(" UNION ALL ");
    assert!(asked(&sample, &often).expect_err("too often").to_string().contains("several statements"));
    let deep = format!("SELECT {}1{}", "(".repeat(3_000), ")".repeat(3_000));
    assert!(asked(&sample, &deep).expect_err("too deep").to_string().contains("take it apart"));
    assert!(asked(&sample, &format!("SELECT '{}'", "x".repeat(40_000))).expect_err("too long").to_string().contains("bytes long"));
}

#[test]
fn answers_are_files_too() {
    let sample = shop();
    let table = answer(
        &sample.source(),
        &memory(),
        "SELECT service, timestamp, request_ids, attributes['code'] AS code FROM logs ORDER BY timestamp",
    )
    .expect("an answer");
    let csv = String::from_utf8(table.csv().expect("a file")).expect("text");
    assert_eq!(csv.lines().take(2).collect::<Vec<_>>(), ["service,timestamp,request_ids,code", "till,2026-03-01T03:00:01Z,[req-7],200"]);
    let stream =
        arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(table.arrow_stream().expect("a file")), None).expect("a stream");
    let read: Vec<arrow::array::RecordBatch> = stream.map(|batch| batch.expect("a batch")).collect();
    assert_eq!(read.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 3);
    assert_eq!(read[0].schema().field(0).data_type(), &arrow::datatypes::DataType::Utf8, "a type that every reader knows");
    let parquet = table.parquet().expect("a file");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let none = answer(&sample.source(), &memory(), "SELECT service FROM logs WHERE service = 'nobody'").expect("an answer");
    assert_eq!(none.csv().expect("a file"), b"service\n");
}
