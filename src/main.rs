//! needle: logs and traces of a request, stitched into one tree, across every service.

mod cli;
mod demo;
mod memory;
mod serve;
mod settings;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
