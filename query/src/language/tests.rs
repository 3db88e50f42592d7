use proptest::prelude::*;

use super::golden::described;
use super::parse;

/// The query and one that must mean the same.
#[track_caller]
fn same(query: &str, other: &str) {
    let meaning = |query: &str| described(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}")));
    assert_eq!(meaning(query), meaning(other), "{query} and {other}");
}

#[track_caller]
fn refused(query: &str, position: usize, message_part: &str) {
    let error = parse(query).expect_err(query);
    assert!(error.message.contains(message_part), "{query}: {}", error.message);
    assert_eq!(error.position, position, "{query}: {}", error.message);
    error.caret(query);
}

#[test]
fn regular_expressions() {
    refused("a /(/", 2, "unclosed group");
    refused("/(a{1000}){1000}/", 0, "too large");
}

#[test]
fn fields_and_their_aliases() {
    same("service.name:checkout", "service:checkout");
    same("service=checkout", "service:checkout");
    same("Service:checkout", "service:checkout");
    same("msg:x", "body:x");
    same("message:x", "body:x");
    same("severity:warn", "level:warn");
    same("level:>=warn", "level>=warn");
}

#[test]
fn wildcards_lists_and_negations() {
    same("service:(a OR b)", "(service:a OR service:b)");
    same("body:(a OR (b c))", "(body:a OR (body:b body:c))");
    same("service:(a, b)", "service:(a OR b)");
    same("body:(\"x y\" -z)", "(body:\"x y\" -body:z)");
    same("duration:(>5ms <=1s)", "(duration>5ms duration<=1s)");
    same("-service:web", "NOT service:web");
    same("NOT NOT a", "a");
    same("-(a b)", "NOT (a AND b)");
    same("!a", "-a");
}

#[test]
fn and_binds_tighter_than_or() {
    same("a b OR c", "(a AND b) OR c");
    same("a OR b c", "a OR (b AND c)");
    same("(a OR b) c", "((a OR b)) AND c");
}

#[test]
fn what_other_languages_write_is_understood() {
    same("has:user.id", "user.id:*");
    same("_exists_:user.id", "user.id:*");
    same("service = 'web'", "service:web");
    same("service =~ \"we.*\"", "service:/we.*/");
    same("a || b && c", "a OR (b AND c)");
    same("*:*", "*");
    same("\u{201c}a b\u{201d}", "\"a b\"");
}

#[test]
fn errors_say_where_and_how_to_mend_it() {
    refused("service:(orders", 8, "not closed");
    refused("a )", 2, "closes nothing");
    refused("a ()", 2, "nothing stands between");
    refused("\"abc", 0, "not closed");
    refused("service:", 0, "no value");
    refused("a service: b", 2, "no value");
    refused("a OR", 2, "after it");
    refused("OR a", 0, "before it");
    refused("a AND", 2, "both sides");
    refused("a NOT", 2, "after it");
    refused("kind:sapn", 5, "did you mean span?");
    refused("has:exeption", 4, "did you mean exception?");
    refused("is:rot", 3, "did you mean root?");
    refused("status:eror", 7, "did you mean error?");
    refused("level>=wran", 7, "did you mean warn?");
    refused("duration>500", 9, "500ms?");
    refused("duration>5x", 9, "not a duration");
    refused("span:xyz", 5, "16 hex digits");
    refused("id:-", 3, "not an id");
    refused("id:abc*", 3, "whole id");
    refused("user.id>a*", 8, "no order");
    refused("kind>log", 5, "no order");
    refused("-- ..", 0, "nothing to search for");
    refused("a | count() by service", 2, "/api/v1/aggregate");
    refused("a|count()", 1, "/api/v1/aggregate");
    refused("(a | count())", 0, "not closed");
    refused("\"\"", 0, "empty");
    refused("service:(a b)", 11, "service:(a OR b)");
    refused("status:[500 TO 599]", 7, "(>=500 <=599)");
    refused("timestamp>yesterday", 10, "2026-11-01T10:00:00Z");
    let long = "x".repeat(500);
    assert!(parse(&format!("duration>{long}")).expect_err("refused").message.len() < 200, "what is repeated is cut");
}

#[test]
fn a_bad_pipe_says_where_and_how_to_mend_it() {
    for (query, position, mend) in [
        ("a", 1, "add one, as in `| count() by service`"),
        ("a |", 3, "a function is expected"),
        ("a | cuont()", 4, "did you mean count?"),
        ("a | count", 9, "`count` needs parentheses: count()"),
        ("a | p95", 7, "`p95` needs parentheses: p95(field)"),
        ("a | p95()", 7, "needs a field"),
        ("a | p95(duration", 7, "not closed"),
        ("a | p95(duration, 3)", 16, "one field"),
        ("a | rate(x)", 9, "takes no field"),
        ("a | sum(trace)", 8, "not a number"),
        ("a | count() by", 14, "the name of a field"),
        ("a | count() by has", 15, "a test, not a field"),
        ("a | count() every", 17, "`every` needs a time"),
        ("a | count() every 5", 18, "needs a unit"),
        ("a | count() service", 12, "`by field`"),
        ("a | count() by service, service", 31, "there twice"),
        ("a | count() | sort -cuont", 19, "did you mean count?"),
        ("a | count() | sort -count desc", 19, "said twice"),
        ("a | count() | limit 0", 20, "a number from 1"),
        ("a | count() | limit ten", 20, "a number from 1"),
        ("a | count() | limit 5 5", 22, "takes no more"),
        ("a | count() | limit 5 | limit 6", 24, "said before"),
        ("a | top 5 service | sort count", 20, "said before"),
        ("a | top service", 8, "`top` needs a number"),
        ("a | count() | count()", 14, "side by side"),
        ("a | count() | srot count", 14, "did you mean sort?"),
        ("a | count() by \"x", 15, "not closed"),
        ("kind:sapn | count()", 5, "did you mean span?"),
    ] {
        let error = super::parse_piped(query).expect_err(query);
        assert_eq!(error.position, position, "{query}: {}", error.message);
        assert!(error.message.contains(mend), "{query}: {}", error.message);
    }
}

#[test]
fn a_pipe_names_its_columns() {
    let columns = |query: &str| super::parse_piped(query).unwrap_or_else(|error| panic!("{query}: {error}")).1.column_names();
    assert_eq!(columns("a | count()"), ["count"]);
    assert_eq!(columns("| P95(duration), count() BY service EVERY 1m"), ["time", "service", "p95(duration)", "count"]);
    assert_eq!(columns("| top 3 \"my key\""), ["my key", "count"]);
    assert_eq!(columns("a|count() every 1m by level|sort -count(),level|limit 1_000"), ["time", "level", "count"]);
}

#[test]
fn deep_and_long_queries_are_refused() {
    let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&deep(64)).is_ok());
    refused(&deep(65), 64, "nested deeper");
    refused(&"(".repeat(30_000), 64, "nested deeper");
    assert!(parse(&"-".repeat(30_000)).is_err());
    assert!(parse(&"NOT ".repeat(5_000)).is_err());
    let many: String = (0..3_000).map(|n| format!("a{n} ")).collect();
    assert!(parse(&many).expect_err("too many").message.contains("conditions"));
    let patterns: String = (0..33).map(|n| format!("/a{n}/ ")).collect();
    assert!(parse(&patterns).expect_err("too many").message.contains("more than 32 regular expressions"));
    assert!(parse(&"url.path:/api/* ".repeat(100)).is_ok());
    assert!(parse(&"a".repeat(40_000)).expect_err("too long").message.contains("bytes long"));
    assert!(parse(&"service:(".repeat(3_000)).is_err());
}

#[test]
fn the_examples_of_the_reference_parse_or_are_refused_as_it_says() {
    let reference = include_str!("../../LANGUAGE.md");
    let (mut accepted, mut refused, mut block) = (0, 0, "");
    for line in reference.lines() {
        match line.strip_prefix("```") {
            Some(language) => block = language,
            None if block == "query" => {
                let query = line.split("   ").next().unwrap_or("");
                parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
                accepted += 1;
            }
            None if block == "pipe" => {
                let query = line.split("   ").next().unwrap_or("");
                super::parse_piped(query).unwrap_or_else(|error| panic!("{query}: {error}"));
                accepted += 1;
            }
            None if block == "refused" => {
                let (query, reason) = line.split_once("   ").expect("a query and the reason");
                let error = parse(query).expect_err(query);
                assert!(error.message.contains(reason.trim()), "{query}: {}", error.message);
                refused += 1;
            }
            None => {}
        }
    }
    assert!(accepted > 40 && refused > 5, "{accepted} and {refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_parsed_or_refused_at_a_place_in_it(query in "\\PC{0,60}") {
        for error in [parse(&query).err(), super::parse_piped(&query).err()].into_iter().flatten() {
            prop_assert!(error.position <= query.len());
            prop_assert!(error.caret(&query).contains('^'));
        }
    }

    #[test]
    fn any_mix_of_the_language_is_parsed_or_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "(", ")", " ", "-", "!", "\"", "/", "\\", "*", "|", ":", ">", "<=", "!=", "=", "a", "service", "duration", "5ms", "OR ",
            "AND ", "NOT ", "level", "kind", "id", "ö", "\n", "::", "//", "\u{0}", "4bf92f3577b34da6a3ce929d0e0e4736",
        ]), 0..40)
    ) {
        let query: String = pieces.concat();
        if let Err(error) = parse(&query) {
            prop_assert!(error.position <= query.len());
            prop_assert!(query.is_char_boundary(error.position));
            error.caret(&query);
        }
    }

    #[test]
    fn a_quoted_text_is_always_searched_for(text in "[^\"\\\\]{1,40}") {
        prop_assume!(!text.trim().is_empty());
        let quoted = format!("\"{text}\"");
        prop_assert!(parse(&quoted).is_ok());
    }
}
