//! `needle completions` and `needle man`, generated from the flags themselves.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::terminal::{Color, Output};
use super::{Exit, Needle};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "Example: needle completions bash > /etc/bash_completion.d/needle")]
pub(crate) struct CompletionsCommand {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Print the manual page
#[derive(Debug, Args)]
pub(crate) struct ManCommand {
    /// Write one page per command into this folder instead.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints completions.
pub(crate) fn completions(command: &CompletionsCommand) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Needle::command(), "needle", &mut script);
    print(&script)
}

/// Prints or writes manual pages.
pub(crate) fn man(command: &ManCommand) -> anyhow::Result<Exit> {
    if let Some(folder) = &command.out {
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Needle::command(), folder))
            .with_context(|| format!("manual pages cannot be written to {}", folder.display()))?;
        return Ok(Exit::Found);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Needle::command()).render(&mut page)?;
    print(&page)
}

fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut output = Output::stdout(Color::Never);
    output.bytes(bytes)?;
    output.flush()?;
    Ok(Exit::Found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Needle::command().debug_assert();
    }
}
