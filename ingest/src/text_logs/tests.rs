use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use needle_storage::model::{Log, Record, RecordsView, Signal, Tenant, UnixNanos, Value};
use needle_storage::{BodyFormat, RawRequest};

use crate::decode::{Decoder, Outcome};
use crate::settings::IngestSettings;

fn outcome(body: &[u8]) -> Outcome {
    let request = RawRequest {
        tenant: Tenant::default(),
        format: BodyFormat::TextLogs,
        arrival: UnixNanos(1_795_176_000_000_000_000),
        service: Some("shop".to_owned()),
        timezone: None,
        body: Bytes::copy_from_slice(body),
    };
    Decoder::new(IngestSettings::default()).decode(&request).unwrap()
}

fn logs(outcome: &Outcome) -> Vec<Log> {
    let view = RecordsView::new(Signal::Logs, &outcome.decoded.records);
    (0..view.len())
        .map(|row| match view.record(row) {
            Record::Log(log) => log,
            Record::Span(_) => panic!("a span among logs"),
        })
        .collect()
}

fn bodies(body: &str) -> Vec<String> {
    logs(&outcome(body.as_bytes())).iter().map(|log| log.body.as_ref().and_then(Value::as_str).unwrap().to_owned()).collect()
}

#[test]
fn a_line_keeps_its_text_and_gives_time_level_id_and_service() {
    let line = "2018-06-27 06:39:57.993 1900 ERROR nova.osapi [req-f24ff1eb-6ac9-419d-969b-3fd58408194d - - - - -] boom";
    let outcome = outcome(line.as_bytes());
    let log = logs(&outcome).remove(0);
    assert_eq!(log.body, Some(Value::String(line.to_owned())));
    assert_eq!(log.common.time, UnixNanos(1_530_081_597_993_000_000));
    assert_eq!((log.severity.name(), log.severity_text.as_deref()), ("ERROR", Some("ERROR")));
    assert_eq!(log.common.request_ids, ["req-f24ff1eb-6ac9-419d-969b-3fd58408194d"]);
    assert_eq!(log.common.service, "shop");
    assert!(outcome.decoded.own_times);
}

#[test]
fn a_level_may_stand_before_the_time() {
    for line in
        ["MainThread::WARN::2011-12-05 07:04:56,101::vdsm::71 I am", "WARN  2020-01-02 03:04:05 x", "W0517 15:04:22.619632 1 x.cc:253] x"]
    {
        let log = logs(&outcome(line.as_bytes())).remove(0);
        assert_eq!((log.severity.name(), log.common.original_time), ("WARN", None), "{line}");
    }
}

#[test]
fn a_stack_trace_belongs_to_the_line_before_it() {
    let text = "2020-01-01 00:00:00 ERROR boom\nTraceback (most recent call last):\n  File \"a.py\"\n\nValueError: x\n2020-01-01 00:00:01 INFO on\n";
    let expected = [
        "2020-01-01 00:00:00 ERROR boom\nTraceback (most recent call last):\n  File \"a.py\"\n\nValueError: x",
        "2020-01-01 00:00:01 INFO on",
    ];
    assert_eq!(bodies(text), expected);
    assert_eq!(
        bodies("java.lang.Error: x\n\tat a.b(C.java:1)\nCaused by: y\n\tat d\nnext\n"),
        ["java.lang.Error: x\n\tat a.b(C.java:1)\nCaused by: y\n\tat d", "next"]
    );
}

#[test]
fn without_times_every_line_is_a_record_of_the_time_of_arrival() {
    let outcome = outcome(b"hello\r\n\r\nhow are you?\ngoodbye");
    let logs = logs(&outcome);
    assert_eq!(logs.len(), 3);
    assert_eq!(logs[0].body, Some(Value::String("hello".to_owned())));
    assert_eq!((logs[0].common.time, logs[0].common.original_time), (UnixNanos(1_795_176_000_000_000_000), Some(0)));
    assert!(!outcome.decoded.own_times);
}

#[test]
fn a_header_that_is_an_id_is_a_record_of_its_own_within_a_dump() {
    let text = "2020-01-01 00:00:00 DEBUG answer\nHTTP/1.1 200 OK\nX-Openstack-Request-Id: req-f24ff1eb-6ac9-419d-969b-3fd58408194d\nConnection: close\n2020-01-01 00:00:01 INFO on";
    assert_eq!(bodies(text).len(), 3);
    let outcome = outcome(text.as_bytes());
    let logs = logs(&outcome);
    assert_eq!(logs[1].common.time, logs[0].common.time);
    assert!(outcome.decoded.own_times);
}

#[test]
fn a_line_that_is_not_utf8_is_named_and_the_others_are_stored() {
    let outcome = outcome(b"one\n\xff\xfe\nthree\n");
    assert_eq!(logs(&outcome).len(), 2);
    assert_eq!((outcome.rejections.count, outcome.rejections.first[0].place), (1, 2));
}

/// The folder of sample data next to the workspace, which not every checkout has.
fn sample_data() -> Option<PathBuf> {
    let folder = PathBuf::from("../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no {}", folder.display());
    None
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { log_files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_line_of_openstack_that_names_a_request_is_found_by_it() {
    let Some(data) = sample_data() else { return };
    for round in ["round_1", "round_2"] {
        let folder = data.join("openstack/Nova_Test_12");
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join(format!("expected_{round}.json"))).unwrap()).unwrap();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let files = log_files(&folder.join(round));
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "out")) {
            for log in logs(&outcome(&std::fs::read(file).unwrap())) {
                log.common.request_ids.into_iter().for_each(|id| *found.entry(id).or_default() += 1);
            }
        }
        let requests = expected["requests"].as_object().unwrap();
        let wrong: Vec<_> = requests
            .iter()
            .filter(|(id, request)| found.get(*id).copied() != request["lines"].as_u64())
            .map(|(id, request)| (id, found.get(id), &request["lines"]))
            .collect();
        assert!(wrong.is_empty(), "{round}: {wrong:?}");
        assert!(requests.len() > 50);
    }
}

#[test]
fn log_files_of_many_programs_are_read_without_loss() {
    let Some(data) = sample_data() else { return };
    for file in log_files(&data.join("lnav_logs")) {
        let body = std::fs::read(&file).unwrap();
        let outcome = outcome(&body);
        let kept: usize = logs(&outcome).iter().map(|log| log.body.as_ref().unwrap().as_str().unwrap().split_whitespace().count()).sum();
        let sent: usize =
            body.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok()).map(|line| line.split_whitespace().count()).sum();
        assert_eq!(kept, sent, "{}", file.display());
    }
}
