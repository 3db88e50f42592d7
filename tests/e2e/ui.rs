//! The browser UI, in a real browser, against the real program.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Server, repository, run, skip};
use crate::otlp::{self, MS};

#[test]
fn the_page_is_served_with_a_strict_policy() {
    let server = Server::start();
    let page = server.get("/", &[]);
    assert_eq!(page.status, 200, "{}", page.text());
    if cfg!(feature = "ui") {
        assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
        assert!(page.header("content-security-policy").contains("default-src"), "{:?}", page.headers);
        assert_eq!(server.get("/journey/any-id", &[]).status, 200, "the page knows its own routes");
    }
}

#[test]
fn a_journey_opens_in_a_browser() {
    let folder = repository().join("web/ui");
    if !cfg!(feature = "ui") {
        return skip("the UI in a browser", "built without the feature `ui`");
    }
    let Some(browser) =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].into_iter().find(|path| Path::new(path).exists())
    else {
        return skip("the UI in a browser", "there is no Chromium; `make test` installs it");
    };
    if !folder.join("node_modules").is_dir() {
        return skip("the UI in a browser", "web/ui/node_modules is missing; `make test` installs it");
    }
    let server = Server::start();
    let request = otlp::unique_uuid();
    let time = otlp::now() - 5000 * MS;
    server.send_lines(&[json!({"ts": time, "service": "till", "level": "error", "msg": "jammed", "request_id": request})]);
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", "smoke"]).current_dir(folder);
    npm.envs([("NEEDLE_URL", &*server.url()), ("NEEDLE_JOURNEY", &request), ("CHROMIUM", browser)]);
    let output = run(&mut npm);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
