//! `needle sql`: questions in SQL.

use std::io::Read;

use anyhow::{Context, bail};
use clap::Args;

use super::Exit;
use super::arguments::{OutputArguments, ServerArguments};
use super::client::Client;
use super::table::Table;

/// Ask in SQL over the tables `logs` and `spans`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  needle sql \"SELECT service, count(*) AS records FROM logs WHERE level = 'error' GROUP BY service\"
  needle sql \"SELECT attributes['http.route'] AS route, max(duration_ns) FROM spans GROUP BY route\" -o csv
  needle sql 'DESCRIBE spans'
  needle sql - < report.sql

Attributes stand under their keys: attributes['http.route'], resource['host.name'], or \"http.route\" for either.
Exit codes: 0 rows, 1 no row, 2 error or a partial answer without --allow-partial, 3 timed out.")]
pub(crate) struct SqlCommand {
    /// One statement: SELECT, EXPLAIN, DESCRIBE or SHOW TABLES; `-` reads it from stdin.
    #[arg(required = true, value_name = "STATEMENT")]
    statement: Vec<String>,
    /// Exit with 0 or 1 also when the answer is partial.
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs it.
pub(crate) fn run(command: &SqlCommand) -> anyhow::Result<Exit> {
    const PATH: &str = "/api/v1/sql";
    let statement = statement(command)?;
    let client = Client::new(&command.server);
    let body = serde_json::to_vec(&serde_json::json!({ "query": statement }))?;
    let parameters = Vec::from_iter(client.timeout_parameter()?);
    let response = client.post(PATH, &parameters, &[("content-type", "application/json".to_owned())], &body)?;
    let table: Table = client.parse(PATH, response)?;
    table.print(&command.output, command.allow_partial)
}

fn statement(command: &SqlCommand) -> anyhow::Result<String> {
    let mut statement = command.statement.join(" ");
    if statement == "-" {
        statement.clear();
        std::io::stdin().read_to_string(&mut statement).context("the statement on stdin cannot be read")?;
    }
    if statement.trim().is_empty() {
        bail!("there is no statement: write one, as in needle sql 'SELECT service, count(*) FROM logs GROUP BY service'");
    }
    Ok(statement)
}
