//! Tokens: who comes in, whose records it is about, and what every route asks for.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Answer, NEEDLE, Server, needle, poll, post, request_with, run, stdout_of};

/// A token of `server`, which honours it from now on.
pub(crate) fn token(server: &Server, scope: &str, tenant: &str) -> String {
    let data = server.data().to_str().unwrap();
    let output = run(&mut needle(&["token", "create", "--scope", scope, "--tenant", tenant, "--data", data]));
    let token = stdout_of(&output).trim().to_owned();
    // Once nobody is let in without one, any other answer than that it is wrong says that this one is known.
    poll("the token to be known", || {
        let bare = request_with("GET", &format!("{}/metrics", server.url()), &[]).status;
        (bare == 401 && ![401, 429].contains(&as_caller(server, "GET", "/metrics", &token).status)).then_some(())
    });
    token
}

fn as_caller(server: &Server, method: &str, path: &str, token: &str) -> Answer {
    request_with(method, &format!("{}{path}", server.url()), &[("authorization", &format!("Bearer {token}"))])
}

fn send(server: &Server, token: &str, line: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("authorization", &*format!("Bearer {token}"))];
    post(&format!("{}/api/v1/logs", server.url()), &headers, line.to_string().as_bytes())
}

/// Every documented route with a path that can be asked, and the scope that it needs; none for those that need none.
fn routes(server: &Server) -> Vec<(String, String, Option<String>)> {
    let description = request_with("GET", &format!("{}/api/openapi.json", server.url()), &[]).json();
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str().map(str::to_owned);
            let path = path.replace("{id}", "x").replace("{name}", "service");
            routes.push((method.to_uppercase(), path, scope));
        }
    }
    // OTLP describes these.
    for path in ["/v1/logs", "/v1/traces"] {
        routes.push(("POST".to_owned(), path.to_owned(), Some("ingest".to_owned())));
    }
    routes
}

#[test]
fn every_route_asks_for_its_scope_and_for_nothing_while_there_is_no_token() {
    let server = Server::start();
    let routes = routes(&server);
    assert!(routes.len() > 20, "{routes:?}");
    for (method, path, _) in routes.iter().filter(|(_, path, _)| path != "/api/v1/tail") {
        let status = request_with(method, &format!("{}{path}", server.url()), &[]).status;
        assert!(![401, 429].contains(&status), "{method} {path}: {status}");
    }
    let tokens = ["ingest", "read", "admin"].map(|scope| (scope, token(&server, scope, "default")));
    for (method, path, needed) in &routes {
        let url = format!("{}{path}", server.url());
        let bare = request_with(method, &url, &[]);
        let Some(needed) = needed else {
            assert_ne!(bare.status, 401, "{method} {path}");
            continue;
        };
        assert_eq!(bare.status, 401, "{method} {path}");
        assert_eq!(bare.header("www-authenticate"), "Bearer");
        for (scope, token) in &tokens {
            if path == "/api/v1/tail" && (scope == needed || *scope == "admin") {
                continue;
            }
            let answer = as_caller(&server, method, path, token);
            let may = scope == needed || *scope == "admin";
            assert_eq!([401, 403].contains(&answer.status), !may, "{method} {path} as {scope}: {}", answer.text());
            assert!(may || answer.status == 403, "{method} {path} as {scope}: {}", answer.status);
        }
    }
}

#[test]
fn a_revoked_token_is_refused_within_a_second_and_what_it_reads_ends() {
    let server = Server::start();
    let (read, ingest) = (token(&server, "read", "default"), token(&server, "ingest", "default"));
    let mut tail = server.command(&["tail", "--token", &read, "-o", "json"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    poll("a tail", || as_caller(&server, "GET", "/metrics", &read).text().lines().any(|line| line == "needle_http_tails 1").then_some(()));
    let data = server.data().to_str().unwrap();
    let revoked = std::time::Instant::now();
    stdout_of(&run(&mut needle(&["token", "revoke", &read, "--data", data])));
    poll("the refusal", || (as_caller(&server, "GET", "/api/v1/count", &read).status == 401).then_some(()));
    println!("refused after {:?}", revoked.elapsed());
    let refused = server.cli(&["grep", "hello", "--token", &read]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("this token was revoked"), "{refused:?}");
    // It comes back, is told, and gives up.
    let ended = crate::harness::finish(&mut tail, "the end of the tail");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("revoked"), "{ended:?}");
    send(&server, &ingest, &json!({"msg": "still"})).expect(200);
}

#[test]
fn tokens_are_made_before_the_first_start_and_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap().to_owned();
    let made = |scope: &str| stdout_of(&run(&mut needle(&["token", "create", "--scope", scope, "--data", &folder]))).trim().to_owned();
    let admin = made("admin");
    let mut server = Server::start_on(data);
    for _ in 0..2 {
        assert_eq!(request_with("GET", &format!("{}/api/v1/count", server.url()), &[]).status, 401);
        as_caller(&server, "GET", "/api/v1/count", &admin).expect(200);
        assert_eq!(server.stop(), Some(0));
        server.start_again();
    }
    let listed = stdout_of(&run(&mut needle(&["token", "list", "--json", "--data", &folder])));
    let listed: Value = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!((&listed["scope"], &listed["state"]), (&json!("admin"), &json!("good")));
    assert!(!listed.to_string().contains(admin.rsplit('_').next().unwrap()), "the secret is not kept");
    let missing = run(&mut needle(&["token", "revoke", "aaaaaaaa", "--data", &folder]));
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    // A file of tokens that cannot be read opens nothing.
    server.kill();
    std::fs::write(server.data().join("_needle/tokens.toml"), "version = 1\n[[tokens]]\n").unwrap();
    let refused = run(&mut needle(&[
        "serve",
        "--http",
        "127.0.0.1:0",
        "--otlp-grpc",
        "127.0.0.1:0",
        "--otlp-http",
        "127.0.0.1:0",
        "--data",
        &folder,
    ]));
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
}

#[test]
fn listening_to_others_takes_tls_and_a_token_or_the_phrase() {
    let data = tempfile::tempdir().unwrap();
    let mut serve = std::process::Command::new(NEEDLE);
    serve.args(["serve", "--http", "0.0.0.0:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--data"]).arg(data.path());
    let refused = run(&mut serve);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78));
    for part in ["--tls-cert", "--tls-key", "needle token create", "--insecure-listen=i-understand"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    let server = Server::start_with(&["--http", "0.0.0.0:0", "--insecure-listen=i-understand"]);
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{port}");
    assert!(request_with("GET", &format!("{url}/metrics"), &[]).text().contains("\nneedle_insecure 1\n"));
    assert_eq!(request_with("GET", &format!("{url}/api/v1/session"), &[]).json()["insecure"], true);
    assert!(Server::start().get("/metrics", &[]).text().contains("\nneedle_insecure 0\n"));
}

#[test]
fn wrong_tokens_are_bounded_by_address_and_lock_nobody_out() {
    let server = Server::start();
    let good = token(&server, "read", "default");
    as_caller(&server, "GET", "/api/v1/count", "ndl_read_wrong").expect(401);
    as_caller(&server, "GET", "/api/v1/count", &good).expect(200);
    let refused = poll("a bound", || {
        let answer = as_caller(&server, "GET", "/api/v1/count", "ndl_read_wrong");
        (answer.status != 401).then_some(answer)
    });
    assert_eq!((refused.status, refused.header("retry-after")), (429, "3"));
    as_caller(&server, "GET", "/api/v1/count", &good).expect(200);
}

#[test]
fn a_browser_shows_its_token_once_and_other_sites_gain_nothing_by_it() {
    let server = Server::start();
    let url = server.url();
    let session = format!("{url}/api/v1/session");
    assert_eq!(request_with("GET", &session, &[]).json()["needs_token"], false);
    let (read, ingest) = (token(&server, "read", "default"), token(&server, "ingest", "default"));
    let sign_in = |token: &str, headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")][..], headers].concat();
        post(&session, &headers, json!({"token": token}).to_string().as_bytes())
    };
    let own = [("sec-fetch-site", "same-origin")];
    assert_eq!(sign_in(&read, &[("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(sign_in(&read, &[]).status, 403, "no page at all");
    assert_eq!(sign_in("ndl_read_wrong", &own).status, 401);
    assert_eq!(sign_in(&ingest, &own).status, 403);
    let signed_in = sign_in(&read, &own);
    assert_eq!(signed_in.expect(200)["scope"], "read");
    let set = signed_in.header("set-cookie").to_owned();
    for part in ["needle_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains(&read) && !set.contains("Secure"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let with = |method: &str, path: &str, site: &str| {
        request_with(method, &format!("{url}{path}"), &[("cookie", &cookie), ("sec-fetch-site", site)])
    };
    with("GET", "/api/v1/count", "same-origin").expect(200);
    assert_eq!(with("POST", "/api/v1/sql", "cross-site").status, 403);
    assert_eq!(request_with("POST", &format!("{url}/api/v1/sql"), &[("cookie", &cookie)]).status, 403, "nobody says which page asks");
    assert_eq!(with("POST", "/api/v1/sql", "same-origin").status, 400, "let in, and without a statement");
    assert_eq!(with("POST", "/api/v1/admin/flush", "same-origin").status, 403, "it may read");
    assert_eq!(with("DELETE", "/api/v1/session", "cross-site").status, 403);
    with("DELETE", "/api/v1/session", "same-origin").expect(200);
    assert_eq!(with("GET", "/api/v1/count", "same-origin").status, 401);
    // A session ends with its token.
    let signed_in = sign_in(&read, &own);
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    run(&mut needle(&["token", "revoke", &read, "--data", server.data().to_str().unwrap()]));
    poll("the end of the session", || {
        (request_with("GET", &format!("{url}/api/v1/count"), &[("cookie", &cookie)]).status == 401).then_some(())
    });
}

#[test]
fn a_page_of_another_site_reaches_nothing_on_loopback() {
    let server = Server::start();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| request_with(method, &format!("{}{path}", server.url()), headers).status;
    assert_eq!(ask("GET", "/api/v1/count", &[("host", "rebound.example")]), 403);
    assert_eq!(ask("GET", "/api/v1/count", &[("host", "localhost:7117")]), 200);
    assert_eq!(ask("POST", "/api/v1/admin/flush", &[("origin", "https://evil.example")]), 403);
    assert_eq!(ask("POST", "/api/v1/logs", &[("origin", "https://evil.example"), ("content-type", "text/plain")]), 403);
    assert_eq!(ask("POST", "/api/v1/admin/flush", &[]), 200);
}

#[test]
fn a_tenant_is_the_tokens_and_headers_of_clients_change_nothing() {
    let server = Server::start();
    let (ingest, read) = (token(&server, "ingest", "acme"), token(&server, "read", "acme"));
    let other = token(&server, "read", "other");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*format!("Bearer {ingest}")),
        ("x-scope-orgid", "other"),
        ("x-tenant", "other"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    post(&format!("{}/api/v1/logs", server.url()), &headers, br#"{"msg":"ours"}"#).expect(200);
    assert_eq!(as_caller(&server, "GET", "/api/v1/count?q=ours", &read).expect(200)["count"], 1);
    assert_eq!(as_caller(&server, "GET", "/api/v1/count?q=ours", &other).expect(200)["count"], 0);
}
