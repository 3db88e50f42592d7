use clap::Parser;

use super::*;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    grep: GrepCommand,
}

const LOG: &str = "\
10:00:00 gateway INFO request_id=a1 POST /checkout
10:00:01 orders INFO request_id=b2 GET /orders
10:00:02 payments ERROR request_id=a1 card declined
  at charge()
10:00:03 audit INFO nothing to see
10:00:04 gateway ERROR request_id=\"A1\" 502
10:00:05 gateway INFO request_id=a1 answered
";

fn grep(arguments: &[&str], input: &str) -> (bool, String) {
    let command = Arguments::parse_from([&["needle", "--stdin"], arguments].concat()).grep;
    let filter = Filter {
        pattern: Pattern::parse(&command.query()).unwrap(),
        expressions: command.expressions.iter().map(|pattern| regular_expression(pattern).unwrap()).collect(),
        invert: command.invert_match,
    };
    let (mut output, printed) = Output::memory();
    let found = filtered(&command, &filter, &mut input.as_bytes(), &mut output).unwrap();
    (found, printed.text())
}

#[test]
fn lines_that_match() {
    assert_eq!(grep(&["error"], LOG).1.lines().count(), 2);
    assert_eq!(grep(&["-v", "gateway"], LOG).1.lines().count(), 4);
    assert_eq!(grep(&["-e", "b\\d"], LOG).1, "10:00:01 orders INFO request_id=b2 GET /orders\n");
    assert_eq!(grep(&["-c", "gateway"], LOG), (true, "3\n".to_owned()));
    assert_eq!(grep(&["-c", "mailer"], LOG), (false, "0\n".to_owned()));
    assert_eq!(grep(&["-q", "gateway"], LOG), (true, String::new()));
    assert_eq!(grep(&["--limit", "1", "gateway"], LOG).1.lines().count(), 1);
}

#[test]
fn context_is_marked_and_separated() {
    let text = grep(&["-B1", "-A1", "orders OR 502"], LOG).1;
    insta::assert_snapshot!(text, @r#"
      10:00:00 gateway INFO request_id=a1 POST /checkout
    > 10:00:01 orders INFO request_id=b2 GET /orders
      10:00:02 payments ERROR request_id=a1 card declined
    --
      10:00:03 audit INFO nothing to see
    > 10:00:04 gateway ERROR request_id="A1" 502
      10:00:05 gateway INFO request_id=a1 answered
    "#);
}

#[test]
fn ids_are_printed_once_in_every_spelling() {
    let uuid = "x request_id=7f3a9c1e-0000-4000-8000-000000000001\ny request_id=7F3A9C1E000040008000000000000001\nz request_id=b\n";
    assert_eq!(grep(&["-l"], uuid).1, "7f3a9c1e-0000-4000-8000-000000000001\nb\n");
}

#[test]
fn a_request_is_all_lines_with_its_id_and_what_continues_them() {
    let (found, text) = grep(&["-R", "declined"], LOG);
    assert!(found);
    insta::assert_snapshot!(text, @r#"
    ── a1 ──
       10:00:00 gateway INFO request_id=a1 POST /checkout
     > 10:00:02 payments ERROR request_id=a1 card declined
         at charge()
       10:00:05 gateway INFO request_id=a1 answered
    "#);
}
