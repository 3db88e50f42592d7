//! The ports of the settings: free, or who answers there.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{Doors, Finding, State};
use crate::cli::Unusable;
use crate::cli::arguments::ServerArguments;
use crate::settings::Settings;

const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn findings(settings: &Settings, doors: &Doors) -> Result<Vec<Finding>, Unusable> {
    let listeners = [("otlp-grpc", &settings.otlp_grpc), ("otlp-http", &settings.otlp_http), ("http", &settings.http)];
    listeners.into_iter().map(|(name, text)| Ok(port(name, settings.listen_address(name, text)?, doors))).collect()
}

fn port(name: &str, address: SocketAddr, doors: &Doors) -> Finding {
    let check = format!("port {name}");
    match TcpListener::bind(address) {
        Ok(_) if address.port() == 0 => Finding::good(&check, format!("{address} takes any free port")),
        Ok(_) => Finding::good(&check, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match name {
            "otlp-grpc" => match doors.otlp_grpc.is_spoken(TIMEOUT) {
                true => Finding::good(&check, format!("OTLP over gRPC is taken at {address}")),
                false => foreign(&check, name, address, "what answers there does not take OTLP over gRPC"),
            },
            "otlp-http" => answered(&check, name, address, (&doors.otlp_http, "/v1/logs", Some("{}")), "OTLP over HTTP is taken"),
            _ => answered(&check, name, address, (&doors.http, "/healthz", None), "a server answers"),
        },
        Err(error) => {
            let mend = format!("choose another address with --{name} 127.0.0.1:PORT");
            Finding::new(&check, State::Broken, format!("{address} cannot be listened on: {error}"), mend)
        }
    }
}

/// A server, a path there, and what is sent to it.
type Asked<'a> = (&'a ServerArguments, &'static str, Option<&'static str>);

fn answered(check: &str, name: &str, address: SocketAddr, (server, path, body): Asked<'_>, good: &str) -> Finding {
    // Whoever has the port may be anybody, and is not shown the token.
    let server = ServerArguments { token: None, ..server.clone() };
    let answer = super::client(&server, TIMEOUT).and_then(|client| match body {
        Some(body) => client.post(path, &[], &[("content-type", "application/json".to_owned())], body.as_bytes()),
        None => client.open(path, &[], &[], None),
    });
    match answer.map(|answer| answer.status().as_u16()) {
        Ok(200) => Finding::good(check, format!("{good} at {address}")),
        // A token is asked for: who does that is as it should be.
        Ok(401 | 403) => Finding::good(check, format!("a server that asks for a token answers at {address}")),
        Ok(503) => Finding::new(
            check,
            State::Warning,
            format!("a server answers at {address} and takes nothing just now"),
            "see what it says at /readyz",
        ),
        Ok(status) => foreign(check, name, address, &format!("what answers there is no needle (status {status} at {path})")),
        Err(error) => foreign(check, name, address, &format!("what has it does not answer as needle does ({error:#})")),
    }
}

fn foreign(check: &str, name: &str, address: SocketAddr, what: &str) -> Finding {
    let port = address.port();
    let mend = format!("find it with `ss -ltnp 'sport = :{port}'` and end it, or choose another port with --{name}");
    Finding::new(check, State::Broken, format!("{address} is in use, and {what}"), mend)
}
