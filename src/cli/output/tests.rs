use clap::Parser;

use super::*;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    output: OutputArguments,
}

fn records() -> Vec<Box<RawValue>> {
    [
        r#"{"kind":"log","timestamp":"2026-11-20T13:03:12.994000001Z","service":"payments","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","request_ids":["7F3A9C1E"],"severity":"error","severity_number":17,"body":"card declined\nat \u001b[31mcharge\u001b[0m()","attributes":{"code":51,"note":"two words","request_id":"7F3A9C1E"},"resource":{"service.name":"payments","env":"prod"},"future":{"kept":true}}"#,
        r#"{"kind":"span","timestamp":"2026-11-20T13:03:11.2Z","service":"gateway","name":"POST /checkout","start":"2026-11-20T13:03:11.2Z","duration_ns":1838000000,"status":"error","status_message":"502, \"bad gateway\"","attributes":{"http.response.status_code":502},"resource":{}}"#,
        r#"{"kind":"log","timestamp":"2026-11-20T13:03:11Z","service":"audit","body":{"nested":[1,"two"]},"attributes":{}}"#,
    ]
    .into_iter()
    .map(|json| RawValue::from_string(json.to_owned()).unwrap())
    .collect()
}

fn printed(flags: &[&str]) -> String {
    let arguments = Arguments::parse_from([&["needle", "-Z", "+01:00", "--color", "never"], flags].concat()).output;
    let mut printer = Printer::new(&arguments).unwrap();
    records().iter().map(|record| printer.text(record, Mark::None).unwrap() + "\n").collect::<String>().replace('\x1b', "<ESC>")
}

#[test]
fn human() {
    insta::assert_snapshot!(printed(&[]), @r#"
    2026-11-20 14:03:12.994 +01:00 ERROR payments card declined\nat \x1b[31mcharge\x1b[0m()  code=51 note="two words" request_id=7F3A9C1E trace_id=4bf92f3577b34da6a3ce929d0e0e4736
    2026-11-20 14:03:11.200 +01:00 SPAN  gateway POST /checkout 1.84s error 502, "bad gateway"  http.response.status_code=502
    2026-11-20 14:03:11.000 +01:00 -     audit {"nested":[1,"two"]}
    "#);
}

#[test]
fn logfmt() {
    insta::assert_snapshot!(printed(&["-o", "logfmt"]), @r#"
    ts=2026-11-20T13:03:12.994000001Z kind=log service=payments level=error msg="card declined\nat \x1b[31mcharge\x1b[0m()" trace_id=4bf92f3577b34da6a3ce929d0e0e4736 request_id=7F3A9C1E code=51 note="two words"
    ts=2026-11-20T13:03:11.2Z kind=span service=gateway name="POST /checkout" duration_ns=1838000000 status=error status_message="502, \"bad gateway\"" http.response.status_code=502
    ts=2026-11-20T13:03:11Z kind=log service=audit msg="{\"nested\":[1,\"two\"]}"
    "#);
}

#[test]
fn csv() {
    insta::assert_snapshot!(printed(&["-o", "csv"]), @r#"
    timestamp,kind,service,severity,name,body,duration_ns,status,status_message,trace_id,span_id,request_ids,attributes,resource
    2026-11-20T13:03:12.994000001Z,log,payments,error,,"card declined
    at <ESC>[31mcharge<ESC>[0m()",,,,4bf92f3577b34da6a3ce929d0e0e4736,,7F3A9C1E,"{""code"":51,""note"":""two words"",""request_id"":""7F3A9C1E""}","{""env"":""prod"",""service.name"":""payments""}"
    2026-11-20T13:03:11.2Z,span,gateway,,POST /checkout,,1838000000,error,"502, ""bad gateway""",,,,"{""http.response.status_code"":502}",{}
    2026-11-20T13:03:11Z,log,audit,,,"{""nested"":[1,""two""]}",,,,,,,{},{}
    "#);
}

#[test]
fn raw() {
    insta::assert_snapshot!(printed(&["-o", "raw"]), @r#"
    card declined
        at <ESC>[31mcharge<ESC>[0m()
    POST /checkout
    {"nested":[1,"two"]}
    "#);
}

#[test]
fn json_is_what_the_server_sent_also_what_this_program_does_not_know() {
    let json = printed(&["--json"]);
    assert_eq!(json.lines().collect::<Vec<_>>(), records().iter().map(|record| record.get()).collect::<Vec<_>>());
}

#[test]
fn chosen_fields_go_by_their_names_in_the_query_language() {
    let fields = "service,level,code,duration,resource.env,request_id";
    insta::assert_snapshot!(printed(&["--fields", fields]), @r#"
    payments  error  51  -  prod  7F3A9C1E
    gateway  -  -  1838000000  -  -
    audit  -  -  -  -  -
    "#);
    insta::assert_snapshot!(printed(&["--json", "--fields", fields]), @r#"
    {"code":51,"level":"error","request_id":"7F3A9C1E","resource.env":"prod","service":"payments"}
    {"duration":1838000000,"service":"gateway"}
    {"service":"audit"}
    "#);
    insta::assert_snapshot!(printed(&["-o", "csv", "--fields", "service,msg"]), @r#"
    service,msg
    payments,"card declined
    at <ESC>[31mcharge<ESC>[0m()"
    gateway,
    audit,"{""nested"":[1,""two""]}"
    "#);
}

#[test]
fn a_hit_is_marked_in_every_format_for_reading_and_for_programs() {
    let arguments = Arguments::parse_from(["needle", "--json"]).output;
    let mut printer = Printer::new(&arguments).unwrap();
    let record = &records()[2];
    assert!(printer.text(record, Mark::Hit).unwrap().starts_with("{\"hit\":true,\"kind\""));
    assert!(printer.text(record, Mark::Context).unwrap().starts_with("{\"kind\""));
    let arguments = Arguments::parse_from(["needle", "--color=never"]).output;
    let mut printer = Printer::new(&arguments).unwrap();
    assert!(printer.text(record, Mark::Hit).unwrap().starts_with("> 2026"));
    assert!(printer.text(record, Mark::Context).unwrap().starts_with("  2026"));
}

#[test]
fn large_numbers_have_commas() {
    assert_eq!([0, 7, 999, 1_000, 48_112, 1_234_567].map(commas), ["0", "7", "999", "1,000", "48,112", "1,234,567"]);
}
