//! needle: logs and traces of a request, stitched into one tree, across every service.

mod cli;
mod demo;
mod doorkeeping;
mod memory;
mod serve;
mod server;
mod settings;
mod shutdown;
mod telemetry;
mod tokens;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
