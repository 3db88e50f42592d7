use proptest::prelude::*;

use super::parse;

#[track_caller]
fn check(query: &str, expected: &str) {
    let parsed = match parse(query) {
        Ok(predicate) => format!("{predicate:?}"),
        Err(error) => format!("{}: {}", error.position, error.message),
    };
    assert_eq!(parsed, expected, "{query}");
}

/// The query and one that must mean the same.
#[track_caller]
fn same(query: &str, other: &str) {
    let debug = |query: &str| format!("{:?}", parse(query).unwrap_or_else(|error| panic!("{query}: {error}")));
    assert_eq!(debug(query), debug(other), "{query} and {other}");
}

#[track_caller]
fn refused(query: &str, position: usize, message_part: &str) {
    let error = parse(query).expect_err(query);
    assert!(error.message.contains(message_part), "{query}: {}", error.message);
    assert_eq!(error.position, position, "{query}: {}", error.message);
    error.caret(query);
}

#[test]
fn words_phrases_and_everything() {
    check("", "All");
    check("  ", "All");
    check("*", "All");
    check("Timeout", r#"Text(Word("timeout"))"#);
    check("timeout payment", r#"And([Text(Word("timeout")), Text(Word("payment"))])"#);
    check("timeo*", r#"Text(Prefix("timeo"))"#);
    check(r#""Connection refused""#, r#"Text(Phrase(["connection", "refused"]))"#);
    check(r#""refused""#, r#"Text(Word("refused"))"#);
    check("größe", r#"Text(Word("größe"))"#);
}

#[test]
fn a_word_with_punctuation_is_a_phrase() {
    check("card-declined", r#"Text(Phrase(["card", "declined"]))"#);
    check("/cart", r#"Text(Word("cart"))"#);
    check("/api/v1/cart", r#"Text(Phrase(["api", "v1", "cart"]))"#);
    check("10.0.0.1", r#"Text(Phrase(["10", "0", "0", "1"]))"#);
    check("12:30:45", r#"Text(Phrase(["12", "30", "45"]))"#);
    check("http://shop/cart", r#"Text(Phrase(["http", "shop", "cart"]))"#);
    check("std::io::Error", r#"Text(Phrase(["std", "io", "error"]))"#);
    check("connect()", r#"Text(Word("connect"))"#);
    check("read(fd,buf)", r#"Text(Phrase(["read", "fd", "buf"]))"#);
    check("--verbose", r#"Text(Word("verbose"))"#);
    check("card-decl*", r#"And([Text(Word("card")), Text(Prefix("decl"))])"#);
    check("foo - bar", r#"And([Text(Word("foo")), Text(Word("bar"))])"#);
    check("a => b", r#"And([Text(Word("a")), Text(Word("b"))])"#);
    check(r#""=>""#, r#"Text(Regex(Regex("=>")))"#);
    check("ti*out", r#"Text(Regex(Regex("(?i)ti\\S*out")))"#);
}

#[test]
fn a_bare_id_is_looked_up_and_searched_for() {
    let words = r#"Text(Phrase(["125a4afb", "6f55", "44ba", "ad80", "413f09f48a28"]))"#;
    let id = "Id(IdTest { kind: Any, id: Some(Wide([18, 90, 74, 251, 111, 85, 4, 186, 173, 128, 65, 63, 9, 244, 138, 40])), span: None, decimal: None })";
    check("125a4afb-6f55-44ba-ad80-413f09f48a28", &format!("Or([{id}, {words}])"));
    check("req-125a4afb-6f55-44ba-ad80-413f09f48a28", &format!("Or([{id}, {}])", words.replace("[\"125", "[\"req\", \"125")));
    check("125A4AFB6F5544BAAD80413F09F48A28", &format!("Or([{id}, Text(Word(\"125a4afb6f5544baad80413f09f48a28\"))])"));
    check(
        "audit-7",
        r#"Or([Id(IdTest { kind: Any, id: Some(Opaque("audit-7")), span: None, decimal: None }), Text(Phrase(["audit", "7"]))])"#,
    );
    check("id:125A4AFB6F5544BAAD80413F09F48A28", id);
    check("-id:125A4AFB6F5544BAAD80413F09F48A28", &format!("Not({id})"));
    check("trace:00-125a4afb6f5544baad80413f09f48a28-00f067aa0ba902b7-01", &id.replace("kind: Any", "kind: Trace"));
    check("span:00F067AA0BA902B7", "Id(IdTest { kind: Span, id: None, span: Some(00f067aa0ba902b7), decimal: None })");
    check("request_id:abc", r#"Id(IdTest { kind: Request, id: Some(Opaque("abc")), span: None, decimal: None })"#);
}

#[test]
fn regular_expressions() {
    check("/conn(ection)? refused/", r#"Text(Regex(Regex("conn(ection)? refused")))"#);
    check(r"/a\/b/", r#"Text(Regex(Regex("a/b")))"#);
    check("(/a|(b c)/i)", r#"Text(Regex(Regex("(?i)a|(b c)")))"#);
    check("body:/a+/", r#"Field { field: Body, test: Regex(Regex("a+")) }"#);
    check("(/a/ OR b)", r#"Or([Text(Regex(Regex("a"))), Text(Word("b"))])"#);
    check(
        "url.path:/api/cart",
        r#"Field { field: Any(["url.path"]), test: Compare(Equal, Literal { text: "/api/cart", number: None, severity: None }) }"#,
    );
    refused("a /(/", 2, "unclosed group");
    refused("/(a{1000}){1000}/", 0, "too large");
}

#[test]
fn fields_and_their_aliases() {
    check(
        "service:checkout",
        r#"Field { field: Service, test: Compare(Equal, Literal { text: "checkout", number: None, severity: None }) }"#,
    );
    same("service.name:checkout", "service:checkout");
    same("service=checkout", "service:checkout");
    same("Service:checkout", "service:checkout");
    same("msg:x", "body:x");
    same("message:x", "body:x");
    same("severity:warn", "level:warn");
    check(
        "level>=warn",
        r#"Field { field: Severity, test: Compare(GreaterOrEqual, Literal { text: "warn", number: None, severity: Some(Severity(13)) }) }"#,
    );
    same("level:>=warn", "level>=warn");
    check(
        "duration>1m30s",
        r#"Field { field: Duration, test: Compare(Greater, Literal { text: "1m30s", number: Some(90000000000.0), severity: None }) }"#,
    );
    check(
        "http.status_code>=500",
        r#"Field { field: Any(["http.status_code", "http.response.status_code"]), test: Compare(GreaterOrEqual, Literal { text: "500", number: Some(500.0), severity: None }) }"#,
    );
    check(
        "attr.user.name:\"Ann B\"",
        r#"Field { field: Attribute(["user.name"]), test: Compare(Equal, Literal { text: "Ann B", number: None, severity: None }) }"#,
    );
    check("resource.host.name:*", r#"Field { field: Resource(["host.name"]), test: Exists }"#);
    check("env:*", r#"Field { field: Any(["env", "deployment.environment.name", "deployment.environment"]), test: Exists }"#);
    check("\"my key\":*", r#"Field { field: Any(["my key"]), test: Exists }"#);
    check("user:nan", r#"Field { field: Any(["user"]), test: Compare(Equal, Literal { text: "nan", number: None, severity: None }) }"#);
}

#[test]
fn wildcards_lists_and_negations() {
    check("url.path:/api/*", r#"Field { field: Any(["url.path"]), test: Wildcard(/api/*) }"#);
    check("user.id:*", r#"Field { field: Any(["user.id"]), test: Exists }"#);
    check(r"k:a\*b", r#"Field { field: Any(["k"]), test: Compare(Equal, Literal { text: "a*b", number: None, severity: None }) }"#);
    check(r"k:a\**", r#"Field { field: Any(["k"]), test: Regex(Regex("^a\\*(?s:.*)$")) }"#);
    check("body:conn*", r#"Field { field: Body, test: Text(Prefix("conn")) }"#);
    same("service:(a OR b)", "(service:a OR service:b)");
    same("service:(a OR (b c))", "(service:a OR (service:b service:c))");
    same("body:(\"x y\" -z)", "(body:\"x y\" -body:z)");
    same("duration:(>5ms <=1s)", "(duration>5ms duration<=1s)");
    same("-service:web", "NOT service:web");
    same("NOT NOT a", "a");
    same("-(a b)", "NOT (a AND b)");
    same("!a", "-a");
    check(
        "service!=web",
        r#"And([Field { field: Service, test: Exists }, Not(Field { field: Service, test: Compare(Equal, Literal { text: "web", number: None, severity: None }) })])"#,
    );
}

#[test]
fn and_binds_tighter_than_or() {
    same("a b OR c", "(a AND b) OR c");
    same("a OR b c", "a OR (b AND c)");
    same("(a OR b) c", "((a OR b)) AND c");
    check("a or b", r#"And([Text(Word("a")), Text(Word("or")), Text(Word("b"))])"#);
}

#[test]
fn kinds_states_and_flags() {
    check("kind:log", "Signal(Logs)");
    check("kind:span", "Signal(Spans)");
    check("kind:server", r#"Field { field: SpanKind, test: Compare(Equal, Literal { text: "server", number: None, severity: None }) }"#);
    check("has:exception is:root", "And([HasException, IsRoot])");
    check("status:ERROR", r#"Field { field: Status, test: Compare(Equal, Literal { text: "error", number: None, severity: None }) }"#);
    same("has:user.id", "user.id:*");
    assert!(format!("{:?}", parse("status>=500")).contains("http.response.status_code"));
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
    refused("a | count() by service", 2, "not available yet");
    refused("a|count()", 1, "not available yet");
    refused("\"\"", 0, "empty");
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
        if let Err(error) = parse(&query) {
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
