//! The figures as a table in Markdown.

use std::time::Duration;

use crate::questions::Cost;

/// Rows of one kind of records.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
    wrong: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, name: &str, figure: impl Into<String>, goal: &str, floor: impl Into<String>) {
        self.rows.push([name.to_owned(), figure.into(), goal.to_owned(), floor.into(), String::new()]);
    }

    pub(crate) fn add_cost(&mut self, name: &str, cost: &Cost, goal: &str) {
        let figure = match cost.wrong {
            Some(_) => format!("**wrong answer**, {}", milliseconds(cost.cpu)),
            None => milliseconds(cost.cpu),
        };
        let latency = format!("{} / {} of {}", milliseconds(cost.p50), milliseconds(cost.p99), cost.asked);
        self.rows.push([name.to_owned(), figure, goal.to_owned(), String::new(), latency]);
        self.wrong.extend(cost.wrong.iter().map(|wrong| format!("{name}: {wrong}")));
    }

    /// An answer or a promise that was not kept.
    pub(crate) fn complain(&mut self, complaint: String) {
        self.wrong.push(complaint);
    }

    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| figure | needle | goal | floor | p50 / p99 |\n|---|---|---|---|---|")?;
        for [name, figure, goal, floor, latency] in &self.rows {
            writeln!(f, "| {name} | {figure} | {goal} | {floor} | {latency} |")?;
        }
        Ok(())
    }
}

pub(crate) fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..1_000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.2} s", milliseconds / 1e3),
    }
}

/// Time for each of many.
pub(crate) fn microseconds_each(time: Duration, many: usize) -> String {
    format!("{:.2} us", time.as_secs_f64() * 1e6 / many as f64)
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
