//! `legacy-auth`: a service that never heard of tracing. It writes JSON lines with the request id, which a shipper posts.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

/// Its name.
pub(super) const NAME: &str = "legacy-auth";
/// Lines posted at once.
const BATCH_LINES: usize = 500;
/// Lines waiting to be posted; beyond it the service waits.
const QUEUE_LINES: usize = 10_000;

/// The service.
pub(super) struct LegacyAuth {
    lines: mpsc::Sender<Message>,
}

enum Message {
    Line(String),
    /// Answered when all lines before it are posted.
    Flush(oneshot::Sender<()>),
}

impl LegacyAuth {
    /// Starts the shipper. Called within a runtime.
    pub(super) fn start(http: SocketAddr) -> LegacyAuth {
        let (lines, queue) = mpsc::channel(QUEUE_LINES);
        tokio::spawn(ship(queue, format!("http://{http}/api/v1/logs")));
        LegacyAuth { lines }
    }

    /// Verifies a token, slowly. All it knows of the request is its id.
    pub(super) async fn verify(&self, request_id: &str, user: &str) {
        self.log("info", "verifying token", request_id, user).await;
        tokio::time::sleep(Duration::from_millis(6)).await;
        self.log("warn", "token close to expiry, renewing", request_id, user).await;
        tokio::time::sleep(Duration::from_millis(9)).await;
        self.log("info", "token ok", request_id, user).await;
    }

    async fn log(&self, level: &str, message: &str, request_id: &str, user: &str) {
        let time = jiff::Timestamp::now().to_string();
        let line = json!({"time": time, "service": NAME, "level": level, "msg": message, "request_id": request_id, "user": user});
        // The shipper ends with the process only.
        let _ = self.lines.send(Message::Line(line.to_string())).await;
    }

    /// Waits until all lines so far are posted.
    pub(super) async fn flush(&self) -> anyhow::Result<()> {
        let (done, posted) = oneshot::channel();
        self.lines.send(Message::Flush(done)).await.ok().context("the shipper of legacy-auth ended")?;
        posted.await.context("the shipper of legacy-auth ended")
    }
}

async fn ship(mut queue: mpsc::Receiver<Message>, url: String) {
    let mut messages = Vec::new();
    while queue.recv_many(&mut messages, BATCH_LINES).await > 0 {
        let (mut body, mut flushes) = (String::new(), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Line(line) => body.extend([line.as_str(), "\n"]),
                Message::Flush(done) => flushes.push(done),
            }
        }
        if !body.is_empty() {
            let url = url.clone();
            let posted = tokio::task::spawn_blocking(move || post(&url, &body)).await;
            if let Ok(Err(error)) = posted {
                tracing::warn!("lines of {NAME} were not taken: {error:#}");
            }
        }
        for done in flushes {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

fn post(url: &str, body: &str) -> anyhow::Result<()> {
    let mut answer = ureq::post(url)
        .header("content-type", "application/x-ndjson")
        .config()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .send(body)?;
    if !answer.status().is_success() {
        bail!("{}: {}", answer.status(), answer.body_mut().read_to_string().unwrap_or_default());
    }
    Ok(())
}
