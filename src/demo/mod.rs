//! `needle demo`: a server on a temporary data folder, and a small shop that sends to it through the real ports.

mod exporter;
mod legacy;
mod service;
mod shop;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::cli::terminal::{Color, Output, note};
use crate::cli::{Exit, Unusable};
use crate::serve::{Listeners, Server, runtime};
use crate::settings::{ServeFlags, Settings};
use crate::shutdown::Signals;
use crate::telemetry;
use shop::{Checkout, Shop};

/// Try needle: a server with a temporary data folder, and a small shop of services that sends to it
#[derive(Debug, Args)]
#[command(
    after_long_help = "Seven services: one only logs JSON with the request id and never sends a span, one has a clock that is 80 ms ahead, one fails
now and then. Prints the address of the UI and three ids to paste. Ports that are in use are replaced by free ones.
Ends with Ctrl-C; the data folder is removed."
)]
pub(crate) struct DemoCommand {
    /// Requests to the shop per second.
    #[arg(long, default_value_t = 2.0, value_name = "N", value_parser = rate)]
    rate: f64,
    /// Stop the traffic after N requests, and go on serving.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// With --requests: end when they are stored.
    #[arg(long, requires = "requests")]
    exit: bool,
    /// Where OTLP/gRPC is taken [default: 127.0.0.1:4317, or a free port].
    #[arg(long, env = "NEEDLE_OTLP_GRPC", value_name = "ADDRESS")]
    otlp_grpc: Option<String>,
    /// Where OTLP/HTTP is taken [default: 127.0.0.1:4318, or a free port].
    #[arg(long, env = "NEEDLE_OTLP_HTTP", value_name = "ADDRESS")]
    otlp_http: Option<String>,
    /// Where the UI and the API are [default: 127.0.0.1:7117, or a free port].
    #[arg(long, env = "NEEDLE_HTTP", value_name = "ADDRESS")]
    http: Option<String>,
    /// What is logged to stderr.
    #[arg(long, env = "NEEDLE_LOG", default_value = "warn", value_name = "FILTER")]
    log: String,
}

/// Requests that are sent at once at the beginning; with the failing one among them.
const FIRST_REQUESTS: u64 = 3;
/// Requests under way at one time; at higher rates the shop is the bound.
const UNDER_WAY_MAX: usize = 256;
/// How long the first journeys may take until they are found.
const FIRST_FOUND_TIMEOUT: Duration = Duration::from_secs(30);

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 1000.0).ok_or_else(|| "give a number above 0 and up to 1000".to_owned())
}

/// Runs it until a signal comes, or until it is done.
pub(crate) fn run(command: &DemoCommand) -> anyhow::Result<Exit> {
    let folder = tempfile::Builder::new().prefix("needle-demo-").tempdir().context("no temporary data folder")?;
    let flags = ServeFlags {
        data: Some(folder.path().to_owned()),
        otlp_grpc: command.otlp_grpc.clone(),
        otlp_http: command.otlp_http.clone(),
        http: command.http.clone(),
        log: Some(command.log.clone()),
        ..ServeFlags::default()
    };
    let settings = Settings::load(None, &flags)?;
    telemetry::start(&settings.log)?;
    let outcome = runtime()?.block_on(demonstrate(command, &settings, folder.path()));
    folder.close().context("the data folder cannot be removed")?;
    outcome
}

async fn demonstrate(command: &DemoCommand, settings: &Settings, folder: &Path) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let mut server = Server::start(settings, listeners(command, settings).await?).await?;
    server.announce();
    let [(_, otlp_grpc), (_, otlp_http), (_, http)] = server.addresses;
    let shop = Arc::new(Shop::open(otlp_grpc, otlp_http, http)?);
    let outcome = {
        let (trade, command_exits) = (trade(command, &shop, http, folder), command.exit);
        let trade = async {
            trade.await?;
            // Without traffic, but with all that was sent: until a signal comes.
            if !command_exits {
                std::future::pending::<()>().await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            done = trade => done,
            failed = server.run_until(signals.next()) => failed,
        }
    };
    // What the services still hold is sent while the server takes it.
    let closing = shop.clone();
    tokio::select! {
        closed = closing.close() => closed?,
        _ = signals.next() => {}
    }
    server.stop().await;
    outcome.map(|()| Exit::Found)
}

/// The ports asked for. Default ports that are in use are replaced by free ones.
async fn listeners(command: &DemoCommand, settings: &Settings) -> Result<Listeners, Unusable> {
    let mut settings = settings.clone();
    let own = [
        ("otlp-grpc", command.otlp_grpc.is_some(), &mut settings.otlp_grpc),
        ("otlp-http", command.otlp_http.is_some(), &mut settings.otlp_http),
        ("http", command.http.is_some(), &mut settings.http),
    ];
    for (name, asked_for, address) in own {
        let in_use = || std::net::TcpListener::bind(address.as_str()).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
        if !asked_for && in_use() {
            note(&format!("{address} is in use, {name} gets a free port"));
            *address = "127.0.0.1:0".to_owned();
        }
    }
    Listeners::bind(&settings).await
}

/// Sends requests at the rate asked for. The ids of the first are printed when their journeys are found.
async fn trade(command: &DemoCommand, shop: &Arc<Shop>, http: SocketAddr, folder: &Path) -> anyhow::Result<()> {
    let total = command.requests.unwrap_or(u64::MAX);
    let first = FIRST_REQUESTS.min(total);
    let mut under_way: JoinSet<Checkout> = (0..first).map(|number| shop.clone().checkout(number)).collect();
    let mut checkouts = Vec::new();
    while let Some(checkout) = under_way.join_next().await {
        checkouts.push(checkout.context("a request to the shop failed")?);
    }
    checkouts.sort_by_key(|checkout| checkout.number);
    shop.flush().await?;
    wait_until_found(http, &checkouts).await?;
    introduce(http, folder, &checkouts)?;

    let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / command.rate));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in first..total {
        clock.tick().await;
        while under_way.len() >= UNDER_WAY_MAX {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {}
        under_way.spawn(shop.clone().checkout(number));
    }
    under_way.join_all().await;
    shop.flush().await
}

/// Asks the server until it has the journeys with all their services.
async fn wait_until_found(http: SocketAddr, checkouts: &[Checkout]) -> anyhow::Result<()> {
    let ids: Vec<(String, bool)> = checkouts.iter().map(|checkout| (checkout.request_id.clone(), checkout.failed)).collect();
    let begun = Instant::now();
    for (id, failed) in ids {
        let services_expected = if failed { shop::SERVICES_OF_A_FAILURE } else { shop::SERVICES };
        loop {
            let asked = id.clone();
            let seen = tokio::task::spawn_blocking(move || services_of_journey(http, &asked)).await?;
            if seen >= services_expected {
                break;
            }
            if begun.elapsed() > FIRST_FOUND_TIMEOUT {
                bail!("the journey of {id} shows {seen} of {services_expected} services after {} s", FIRST_FOUND_TIMEOUT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// How many services the journey of an id shows; 0 while nothing carries it.
fn services_of_journey(http: SocketAddr, id: &str) -> usize {
    let answer =
        ureq::get(format!("http://{http}/api/v1/journey/{id}")).config().timeout_global(Some(Duration::from_secs(10))).build().call();
    let journey = answer.ok().and_then(|mut answer| answer.body_mut().read_json::<serde_json::Value>().ok());
    journey.and_then(|journey| journey["services"].as_array().map(Vec::len)).unwrap_or(0)
}

/// Prints what to try.
fn introduce(http: SocketAddr, folder: &Path, checkouts: &[Checkout]) -> anyhow::Result<()> {
    let url = if http.port() == 7117 { String::new() } else { format!(" --url http://{http}") };
    let mut lines = vec![
        String::new(),
        format!("A shop of {} services sends to this server. See its requests at", shop::SERVICES),
        String::new(),
        format!("    http://{http}"),
        String::new(),
        "or paste an id in another terminal:".to_owned(),
        String::new(),
    ];
    let succeeded = checkouts.iter().find(|checkout| !checkout.failed);
    let another = checkouts.iter().rev().find(|checkout| !checkout.failed);
    let failed = checkouts.iter().find(|checkout| checkout.failed);
    let line = |id: &str, what: &str| format!("    {what:<28}  needle trace{url} {id}");
    lines.extend(succeeded.map(|checkout| line(&checkout.trace_id, "a trace id")));
    lines.extend(another.map(|checkout| line(&checkout.request_id.to_uppercase(), "a request id, in upper case")));
    lines.extend(failed.map(|checkout| line(&checkout.request_id, "a request that failed")));
    lines.extend([String::new(), format!("Ctrl-C ends it and removes {}.", folder.display())]);
    let mut output = Output::stdout(Color::Never);
    for line in lines {
        output.line(&line)?;
    }
    Ok(output.flush()?)
}
