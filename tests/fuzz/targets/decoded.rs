//! Logs as JSON and as text; and whatever is decoded, of any format, sealed: the shard has to be sound and as many rows long.

use bytes::Bytes;
use needle_ingest::storage::model::{Record, RecordsView, Tenant};
use needle_ingest::storage::{BodyFormat, RawRequest};
use needle_storage::untrusted;

use super::{ARRIVAL, DECODER_BYTES, decode, decode_request, same};
use crate::Target;
use crate::files::{shared, workload};
use crate::workload::Signal;

pub(super) const JSON_LOGS: Target = Target {
    name: "json_logs",
    read: |input| plain(BodyFormat::JsonLogs, input),
    seeds: json_seeds,
    words: &[
        "{\"msg\":\"",
        "\"time\":",
        "\"ts\":",
        "\"@timestamp\":",
        "\"level\":",
        "\"service\":",
        "\"request_id\":\"",
        "\"traceparent\":\"",
        "\"trace_id\":\"",
        "\"dd.trace_id\":",
        "\"$",
        "1e400",
        "-0.0",
        "1e-320",
        "18446744073709551616",
        "\\u0000",
        "\\ud83d",
        "\\udc00",
        "\\u202e",
        "null",
        "true",
        "[",
        "{",
        "\n",
        "\r\n",
        "},\n{",
        "9007199254740993",
        "\"log.level\":",
        "1795176000",
        "1795176000000000000",
        "2026-06-01T12:00:00Z",
        "2026-06-01 12:00:00,123",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "b3",
        "\"a.b\":{\"c\":",
    ],
    bytes_max: 4096,
    memory_bytes: DECODER_BYTES,
    short_runs: 20_000,
};
pub(super) const TEXT_LOGS: Target = Target {
    name: "text_logs",
    read: |input| plain(BodyFormat::TextLogs, input),
    seeds: text_seeds,
    words: &[
        "2026-06-01T12:00:00Z ",
        "2026-06-01 12:00:00,123 ",
        "Jun  1 12:00:00 ",
        "01/Jun/2026:12:00:00 +0200",
        "[",
        "]",
        "INFO",
        "ERROR",
        "request_id=",
        "trace_id=",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "\n",
        "\r\n",
        "\n\tat ",
        "\u{feff}",
        "\u{85}",
        "E0601 12:00:00.123456",
        "1795176000.123",
        "24:00:00",
        "23:59:60",
        "2026-02-30",
        "0000-00-00",
        "+99:99",
        "7d3f9a52-11c0-4f0e",
    ],
    ..JSON_LOGS
};

pub(super) const SEALED: Target = Target {
    name: "sealed",
    read: sealed,
    seeds: sealed_seeds,
    // A shard in the making, with the writers of its columns and of its index.
    memory_bytes: 64 << 20,
    short_runs: 100,
    ..JSON_LOGS
};

fn plain(format: BodyFormat, input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let request = RawRequest {
        tenant: Tenant::default(),
        format,
        arrival: ARRIVAL,
        service: (first & 1 == 1).then(|| "told".to_owned()),
        timezone: match first >> 1 & 3 {
            1 => Some("Europe/Berlin".to_owned()),
            2 => Some("+05:30".to_owned()),
            _ => None,
        },
        body: Bytes::copy_from_slice(body),
    };
    let Ok(decoded) = decode_request(&request) else { return };
    let records = every_record(&RecordsView::new(decoded.signal, &decoded.records));
    let lines = body.split(|byte| *byte == b'\n').count().max(body.iter().filter(|byte| **byte == b'{').count());
    assert!(records.len() <= lines, "{} records of {lines} lines", records.len());
}

fn sealed(input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let format = BodyFormat::from_number(1 + first % 6).expect("there are six formats");
    let Ok(decoded) = decode(format, body) else { return };
    let rows = RecordsView::new(decoded.signal, &decoded.records).len();
    if rows > 0 {
        let shard = untrusted::sealed(&decoded).expect("what is accepted can be sealed");
        same(&untrusted::shard(&shard), &Ok((rows, Vec::new())), "the shard of it");
    }
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    let of = |format: BodyFormat, bodies: Vec<Vec<u8>>| {
        let first = (0..6).find(|number| BodyFormat::from_number(1 + number) == Some(format)).expect("there are six formats");
        bodies.into_iter().take(6).map(move |body| [&[first], body.as_slice()].concat())
    };
    let plain = |bodies: Vec<Vec<u8>>| bodies.into_iter().map(|body| body[1..].to_vec()).collect();
    of(BodyFormat::OtlpLogsProtobuf, workload(Signal::Logs))
        .chain(of(BodyFormat::OtlpTracesProtobuf, workload(Signal::Spans)))
        .chain(of(BodyFormat::JsonLogs, plain(json_seeds())))
        .chain(of(BodyFormat::TextLogs, plain(text_seeds())))
        .collect()
}

/// All records, read in both ways there are.
pub(super) fn every_record(view: &RecordsView<'_>) -> Vec<Record> {
    let mut reader = view.reader();
    (0..view.len())
        .map(|row| {
            let record = reader.record(row);
            // Numbers that are none are not equal to themselves.
            same(&format!("{record:?}"), &format!("{:?}", view.record(row)), "a record read twice");
            record
        })
        .collect()
}

fn json_seeds() -> Vec<Vec<u8>> {
    let ours = [
        r#"{"time":"2026-06-01T12:00:00.123456789Z","level":"warn","service":"shop","msg":"paid","request_id":"req-7","a":{"b":[1,2.5,null,true,"x"]}}"#,
        r#"[{"ts":1795176000.25,"message":"one","lvl":30},{"@timestamp":1795176000123,"log":"two","severity":"ERROR","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}]"#,
        "{\"msg\":\"one\"}\nnot json\n{\"msg\":\"two\",\"date\":\"01/Jun/2026:12:00:00 +0200\"}\n",
        r#"{"body":"request_id=7f3a9c1e-0000-4000-8000-000000000001 done","logger_service":"x","dd.trace_id":"123456789","dd.span_id":"42","x-b3-traceid":"463ac35c9f6413ad"}"#,
    ];
    ours.map(|line| [&[0], line.as_bytes()].concat()).into_iter().chain(shared("lnav_logs").map(|file| [vec![0], file].concat())).collect()
}

fn text_seeds() -> Vec<Vec<u8>> {
    let ours = [
        "2026-06-01T12:00:00Z INFO request_id=req-7 done in 12 ms\n2026-06-01T12:00:01Z ERROR no such cart\n\tat cart.rs:7\n",
        "Jun  1 12:00:00 host app[12]: started\n01/Jun/2026:12:00:00 +0200 \"GET / HTTP/1.1\" 200\n",
        "E0601 12:00:00.123456 1 main.go:7] traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
    ];
    ours.map(|line| [&[2], line.as_bytes()].concat()).into_iter().chain(shared("lnav_logs").map(|file| [vec![0], file].concat())).collect()
}
