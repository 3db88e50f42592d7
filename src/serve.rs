//! x
use clap::Args;
/// x
#[derive(Debug, Args)]
pub(crate) struct ServeCommand {}
pub(crate) fn run(_: &ServeCommand) -> anyhow::Result<crate::cli::Exit> {
    Ok(crate::cli::Exit::Found)
}
