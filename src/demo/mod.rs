//! x
use clap::Args;
/// x
#[derive(Debug, Args)]
pub(crate) struct DemoCommand {}
pub(crate) fn run(_: &DemoCommand) -> anyhow::Result<crate::cli::Exit> {
    Ok(crate::cli::Exit::Found)
}
