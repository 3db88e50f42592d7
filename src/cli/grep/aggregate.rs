//! `needle grep '... | count() by service'`: numbers of records instead of records.

use anyhow::{Context, bail};
use jiff::Zoned;

use super::super::Exit;
use super::super::client::Client;
use super::super::ids;
use super::super::table::Table;
use super::{GrepCommand, range};

/// Runs it.
pub(super) fn run(command: &GrepCommand) -> anyhow::Result<Exit> {
    const PATH: &str = "/api/v1/aggregate";
    let query = command.query();
    refuse_flags_of_records(command)?;
    let now = Zoned::now().with_time_zone(command.output.timezone.clone());
    let mut parameters = range(command, ids::names_an_id(&query), &now)?.parameters();
    parameters.push(("q", query));
    let client = Client::new(&command.server)?;
    let table: Option<Table> = client.get(PATH, &parameters)?;
    let table = table.with_context(|| format!("{} does not know {PATH}: is it an older needle?", client.url()))?;
    table.print(&command.output, command.allow_partial)
}

/// Numbers have no context and no journey around them.
fn refuse_flags_of_records(command: &GrepCommand) -> anyhow::Result<()> {
    let flags = [
        ("--count", command.count),
        ("--ids", command.ids),
        ("--request", command.request),
        ("--invert-match", command.invert_match),
        ("--regexp", !command.expressions.is_empty()),
        ("--limit", command.limit.is_some()),
        ("-A, -B and -C", command.context() != (0, 0)),
    ];
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => bail!("{flag} is for records, and this query asks for numbers: say it in the query, before or after the pipe"),
        None => Ok(()),
    }
}
