//! `needle services`: who sends, how much, with how many errors and how fast.

mod graph;

use anyhow::Context;
use clap::Args;
use jiff::Zoned;

use super::Exit;
use super::arguments::{Format, OutputArguments, ServerArguments, TimeArguments};
use super::client::Client;
use super::output::{HIT, commas, paint_service, shown, verdict};
use super::terminal::{Output, continued, visible_json, width};
use super::time::human_duration;
use super::wire::{Service, Services};

/// List services seen, with rates, errors and latency; or who calls whom
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  needle services --since 1h\n  needle services --graph --query env:prod\n  needle services --dot | dot -Tsvg > graph.svg"
)]
pub(crate) struct ServicesCommand {
    /// Who calls whom. Calls marked ~ are inferred: the callee only logs.
    #[arg(long)]
    graph: bool,
    /// The same as a graph for Graphviz.
    #[arg(long)]
    dot: bool,
    /// Only calls of which either side matches, in the query language.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// Exit with 0 or 1 also when the answer is partial.
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

const HEADER: [&str; 9] = ["SERVICE", "SPANS", "LOGS", "RATE/S", "ERRORS", "ERROR %", "P50", "P95", "P99"];

/// Runs it.
pub(crate) fn run(command: &ServicesCommand) -> anyhow::Result<Exit> {
    let now = Zoned::now().with_time_zone(command.output.timezone.clone());
    let range = command.time.range(&now)?;
    let client = Client::new(&command.server);
    if command.graph || command.dot {
        return graph::run(command, &client, range.parameters());
    }
    anyhow::ensure!(command.query.is_none(), "--query chooses calls: add --graph, or leave it out");
    let answer: Services = client
        .get("/api/v1/services", &range.parameters())?
        .with_context(|| format!("{} does not know /api/v1/services: is it a needle server?", client.url()))?;
    let mut output = command.output.stdout()?;
    if !command.output.quiet {
        print(command, &answer, &mut output)?;
    }
    output.flush()?;
    Ok(verdict(!answer.services.is_empty(), &answer.completeness, command.allow_partial))
}

fn print(command: &ServicesCommand, answer: &Services, output: &mut Output) -> anyhow::Result<()> {
    let format = command.output.format();
    if format == Format::Json {
        for raw in &answer.services {
            let json = if output.terminal { visible_json(raw.get()) } else { raw.get().into() };
            output.line(&json)?;
        }
        return Ok(());
    }
    let services = answer.services.iter().map(|raw| serde_json::from_str(raw.get())).collect::<Result<Vec<Service>, _>>()?;
    let lines = match format {
        Format::Human | Format::Json if services.is_empty() => Vec::new(),
        Format::Human | Format::Json => return print_table(&services, output),
        Format::Raw => services.iter().map(|service| continued(&service.name).into_owned()).collect(),
        Format::Csv => [CSV_HEADER.to_owned()].into_iter().chain(services.iter().map(csv)).collect(),
        Format::Logfmt => services.iter().map(logfmt).collect(),
    };
    for line in lines {
        output.line(&if output.terminal { shown(&line) } else { line })?;
    }
    Ok(())
}

/// Names in their colours, errors in that of errors.
fn print_table(services: &[Service], output: &mut Output) -> anyhow::Result<()> {
    let paint = output.paint;
    let mut lines = table(HEADER, services.iter().map(cells), 1).into_iter();
    if let Some(header) = lines.next() {
        output.line(&header)?;
    }
    for (line, service) in lines.zip(services) {
        let (name, rest) = line.split_at(shown(&service.name).len());
        let name = if service.errors > 0 { paint.on(HIT, name) } else { paint_service(&service.name, name, paint) };
        output.line(&format!("{name}{rest}"))?;
    }
    Ok(())
}

fn cells(service: &Service) -> [String; 9] {
    let duration = |ns| duration(ns, service.percentiles_exact);
    let rate = service.rate.map_or("-".to_owned(), |rate| format!("{rate:.2}"));
    [
        shown(&service.name),
        commas(service.spans),
        commas(service.logs),
        rate,
        commas(service.errors),
        error_percent(service),
        duration(service.p50_ns),
        duration(service.p95_ns),
        duration(service.p99_ns),
    ]
}

/// A percentile; one that is not exact is marked.
fn duration(ns: Option<i64>, exact: bool) -> String {
    let mark = if exact { "" } else { "~" };
    ns.map_or("-".to_owned(), |ns| format!("{mark}{}", human_duration(ns)))
}

fn error_percent(service: &Service) -> String {
    let records = service.spans + service.logs;
    let ratio = service.error_ratio.unwrap_or(if records == 0 { 0.0 } else { service.errors as f64 / records as f64 });
    format!("{:.1}", ratio * 100.0)
}

/// Columns as wide as they need to be; after those of `names`, numbers to the right.
fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: impl Iterator<Item = [String; COLUMNS]>, names: usize) -> Vec<String> {
    let rows: Vec<[String; COLUMNS]> = [header.map(str::to_owned)].into_iter().chain(rows).collect();
    let wide: [usize; COLUMNS] = std::array::from_fn(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0));
    rows.iter()
        .map(|row| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let padding = " ".repeat(wide[column] - width(cell));
                if column < names { format!("{cell}{padding}") } else { format!("{padding}{cell}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

const CSV_HEADER: &str = "service,spans,logs,rate,errors,p50_ns,p95_ns,p99_ns,last_seen";

fn values(service: &Service) -> [(&'static str, String); 9] {
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    [
        ("service", service.name.clone()),
        ("spans", service.spans.to_string()),
        ("logs", service.logs.to_string()),
        ("rate", service.rate.map(|rate| rate.to_string()).unwrap_or_default()),
        ("errors", service.errors.to_string()),
        ("p50_ns", number(service.p50_ns)),
        ("p95_ns", number(service.p95_ns)),
        ("p99_ns", number(service.p99_ns)),
        ("last_seen", service.last_seen.clone().unwrap_or_default()),
    ]
}

fn csv(service: &Service) -> String {
    super::output::csv_row(values(service).into_iter().map(|(_, value)| value))
}

fn logfmt(service: &Service) -> String {
    super::output::logfmt_pairs(
        values(service).into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_reading() {
        let services: Vec<Service> = serde_json::from_str(
            r#"[{"name":"gateway","spans":1200,"logs":60,"errors":12,"rate":21.0,"error_ratio":0.0095,"p50_ns":90000000,"p95_ns":410000000,"p99_ns":1838000000},
                {"name":"legacy-auth","spans":0,"logs":48112,"errors":0,"rate":0.5}]"#,
        )
        .unwrap();
        insta::assert_snapshot!(table(HEADER, services.iter().map(cells), 1).join("\n"), @r#"
    SERVICE      SPANS    LOGS  RATE/S  ERRORS  ERROR %   P50    P95    P99
    gateway      1,200      60   21.00      12      0.9  90ms  410ms  1.84s
    legacy-auth      0  48,112    0.50       0      0.0     -      -      -
    "#);
    }
}
