//! The command line's way of printing, as the program has it.

#[path = "../../src/cli/arguments.rs"]
pub(crate) mod arguments;
#[path = "../../src/cli/exit.rs"]
mod exit;
#[path = "../../src/cli/output/mod.rs"]
pub(crate) mod output;
#[path = "../../src/cli/terminal.rs"]
pub(crate) mod terminal;
#[path = "../../src/cli/time.rs"]
mod time;
#[path = "../../src/cli/wire.rs"]
pub(crate) mod wire;

pub(crate) use exit::Exit;
