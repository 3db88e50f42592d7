//! The tree of a journey with bars beside it.

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;

use super::super::output::{clock, commas, level_style, paint_service, plural, rest_of_line, shown};
use super::super::terminal::{Paint, fit, visible, width};
use super::super::time::human_duration;
use super::super::wire::{Inference, Journey, Node, Record};
use super::Logs;
use super::bar::{Kind, Scale};

const DIM: Style = Style::new().dimmed();
const UNDECIDED: Style = AnsiColor::Yellow.on_default();
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Below this the tree and the bars cannot stand side by side.
const COLUMNS_MIN: usize = 40;

/// What is shown, and with which characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) columns: usize,
    pub(crate) ascii: bool,
    /// Whether to mark the critical path.
    pub(crate) critical: bool,
    pub(crate) logs: Logs,
    /// Whether times are moved by the estimated clock offsets.
    pub(crate) corrected: bool,
}

/// Characters of the tree.
struct Glyphs {
    branch: &'static str,
    last: &'static str,
    pass: &'static str,
    /// Before the number of levels that are left out.
    far: &'static str,
    error: &'static str,
    critical: &'static str,
    inferred: &'static str,
    /// Placed by inference, and not decided where.
    undecided: &'static str,
}

/// Levels of the tree that are drawn; above them stands how many more there are.
const LEVELS_MAX: usize = 24;

const UNICODE: Glyphs =
    Glyphs { branch: "├ ", last: "└ ", pass: "│ ", far: "⋯", error: "✗", critical: "◆", inferred: "·", undecided: "?" };
const ASCII: Glyphs = Glyphs { branch: "|-", last: "`-", pass: "| ", far: "...", error: "x", critical: "*", inferred: ".", undecided: "?" };

/// A journey, about to be drawn.
pub(crate) struct Waterfall<'a> {
    journey: &'a Journey,
    look: Look,
    paint: Paint,
    zone: &'a TimeZone,
    glyphs: &'static Glyphs,
}

/// A node's place in the picture.
struct Row<'a> {
    node: &'a Node,
    /// Lines of the tree in front of it.
    tree: String,
    /// The same for what stands below it.
    below: String,
}

impl<'a> Waterfall<'a> {
    /// The picture of a journey.
    pub(crate) fn new(journey: &'a Journey, look: Look, paint: Paint, zone: &'a TimeZone) -> Waterfall<'a> {
        let look = Look { columns: look.columns.max(COLUMNS_MIN), ..look };
        Waterfall { journey, look, paint, zone, glyphs: if look.ascii { &ASCII } else { &UNICODE } }
    }

    /// Its lines: how complete it is, its ids and totals, the tree, and what the signs mean.
    pub(crate) fn lines(&self) -> anyhow::Result<Vec<String>> {
        let mut lines = vec![shown(&self.journey.completeness.words())];
        lines.extend(self.head());
        let rows = self.rows();
        let labels: Vec<Label> = rows.iter().map(|row| self.label(row)).collect();
        let label_columns = labels.iter().map(Label::width).max().unwrap_or(0).clamp(20, self.look.columns * 11 / 20);
        let scale = Scale {
            columns: self.look.columns.saturating_sub(label_columns + 6).max(8),
            total_ns: self.journey.duration_ns.max(1),
            ascii: self.look.ascii,
        };
        lines.push(format!("{}{}", " ".repeat(label_columns + 2), self.paint.on(DIM, &scale.axis(human_duration))));
        for (row, label) in rows.iter().zip(&labels) {
            lines.push(self.node_line(row, label, label_columns, scale));
            if let Some(inference) = &row.node.inferred {
                let text = format!("{} ({:.0} % sure)", inference.reason, inference.confidence * 100.0);
                let style = if inference.is_decided() { DIM } else { UNDECIDED };
                lines.push(format!("{}{}", row.below, self.paint.on(style, &format!("  {} {}", self.sign(inference), shown(&text)))));
            }
            lines.extend(self.log_lines(row)?);
        }
        lines.extend(self.foot());
        Ok(lines)
    }

    fn head(&self) -> Vec<String> {
        let journey = self.journey;
        let (spans, logs, errors) =
            journey.services.iter().fold((0, 0, 0), |sum, service| (sum.0 + service.spans, sum.1 + service.logs, sum.2 + service.errors));
        let log_only = journey.services.iter().filter(|service| service.inferred).count();
        let mut services = plural(journey.services.len() as u64, "service");
        if log_only > 0 {
            services.push_str(&format!(" ({log_only} log-only)"));
        }
        let mut totals = vec![
            clock(journey.start, self.zone),
            human_duration(journey.duration_ns),
            format!("{}, {}, {services}", plural(spans, "span"), plural(logs, "log")),
        ];
        if errors > 0 {
            totals.push(self.paint.on(ERROR, &format!("{} {errors}", self.glyphs.error)));
        }
        let mut lines = vec![totals.join("   ")];
        for (kind, ids) in [("trace", &journey.trace_ids), ("request", &journey.request_ids)] {
            match ids.as_slice() {
                [] => {}
                [id] => lines.push(format!("{kind} {}", shown(id))),
                ids => lines.push(format!("{} {kind}s {}", ids.len(), ids.iter().map(|id| shown(id)).collect::<Vec<_>>().join(" "))),
            }
        }
        lines
    }

    /// The nodes with the lines of the tree, from their depths in pre-order: whether a sibling follows is known
    /// from behind.
    fn rows(&self) -> Vec<Row<'a>> {
        let nodes = &self.journey.nodes;
        let mut follows = vec![false; nodes.len()];
        let mut open: Vec<bool> = Vec::new();
        for (index, node) in nodes.iter().enumerate().rev() {
            open.resize(node.depth + 1, false);
            follows[index] = open[node.depth];
            open[node.depth] = true;
        }
        let mut passes: Vec<bool> = Vec::new();
        let mut rows = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            passes.truncate(node.depth);
            let hidden = node.depth.saturating_sub(LEVELS_MAX);
            let mut before = if hidden > 0 { format!("{}{hidden} ", self.glyphs.far) } else { String::new() };
            before.extend(passes.iter().skip(1 + hidden).map(|pass| if *pass { self.glyphs.pass } else { "  " }));
            let (branch, continued) = match (node.depth, follows[index]) {
                (0, _) => ("", ""),
                (_, true) => (self.glyphs.branch, self.glyphs.pass),
                (_, false) => (self.glyphs.last, "  "),
            };
            passes.resize(node.depth, false);
            passes.push(follows[index]);
            let has_children = nodes.get(index + 1).is_some_and(|next| next.depth > node.depth);
            let below = format!("{before}{continued}{}", if has_children { self.glyphs.pass } else { "  " });
            rows.push(Row { node, tree: format!("{before}{branch}"), below });
        }
        rows
    }

    fn sign(&self, inference: &Inference) -> &'static str {
        if inference.is_decided() { self.glyphs.inferred } else { self.glyphs.undecided }
    }

    fn label(&self, row: &Row<'_>) -> Label {
        let node = row.node;
        if node.missing {
            return Label { tree: row.tree.clone(), service: String::new(), name: "(missing parent)".to_owned(), duration: String::new() };
        }
        let log_only = node.inferred.is_some() && node.span.is_none();
        let name = match (log_only, node.logs.len()) {
            (true, lines) => format!("(logs only) {}", plural(lines as u64, "line")),
            (false, _) => shown(&node.name),
        };
        let about = if log_only { "~" } else { "" };
        Label {
            tree: row.tree.clone(),
            service: format!("{}{}", visible(&node.service), node.inferred.as_ref().map_or("", |inference| self.sign(inference))),
            name,
            duration: format!("{about}{}", human_duration(node.duration_ns)),
        }
    }

    fn node_line(&self, row: &Row<'_>, label: &Label, label_columns: usize, scale: Scale) -> String {
        let node = row.node;
        let failed = node.status.as_deref() == Some("error");
        let mut line = label.line(label_columns, self.look.ascii, &node.service, self.paint);
        line.push_str("  ");
        if !node.missing {
            let kind = match (node.inferred.is_some() && node.span.is_none(), failed) {
                (true, _) => Kind::Inferred,
                (false, true) => Kind::Error,
                (false, false) => Kind::Span,
            };
            let start = node.start.as_nanosecond() - self.journey.start.as_nanosecond();
            let bar = scale.bar(i64::try_from(start).unwrap_or(if start < 0 { 0 } else { i64::MAX }), node.duration_ns, kind);
            line.push_str(&self.paint.on(if failed { ERROR } else { Style::new() }, &bar));
        }
        let mut signs = Vec::new();
        if failed {
            signs.push(self.paint.on(ERROR, self.glyphs.error));
        }
        if self.look.critical && node.critical {
            signs.push(self.glyphs.critical.to_owned());
        }
        signs.extend(node.flags.iter().map(|flag| format!("[{}]", shown(&flag.replace('_', " ")))));
        let line = if signs.is_empty() { line } else { format!("{line} {}", signs.join(" ")) };
        line.trim_end().to_owned()
    }

    fn log_lines(&self, row: &Row<'_>) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for raw in &row.node.logs {
            let record: Record = serde_json::from_str(raw.get())?;
            let wanted = match self.look.logs {
                Logs::All => true,
                Logs::Errors => record.is_error(),
                Logs::None => false,
            };
            if wanted {
                let time = row.node.shown(record.timestamp).to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string();
                let style = if record.is_error() { level_style(&record) } else { DIM };
                lines.push(format!("{}  {} {}", row.below, self.paint.on(style, &time), rest_of_line(&record, self.paint, false)));
            }
        }
        Ok(lines)
    }

    /// Where the time went: what the services did themselves, alike siblings, silent stretches.
    fn aids(&self) -> Vec<String> {
        let journey = self.journey;
        let mut lines = Vec::new();
        let mut times: Vec<(i64, &str)> = journey.services.iter().map(|service| (service.self_time_ns, service.name.as_str())).collect();
        times.retain(|(self_time_ns, _)| *self_time_ns > 0);
        times.sort_unstable_by_key(|(self_time_ns, service)| (std::cmp::Reverse(*self_time_ns), *service));
        if times.len() > 1 {
            let times: Vec<String> = times.iter().map(|(time_ns, service)| format!("{service} {}", human_duration(*time_ns))).collect();
            lines.push(shown(&format!("self time: {}", times.join(", "))));
        }
        for group in &journey.groups {
            let failed = if group.errors > 0 { format!(", {} {}", self.glyphs.error, group.errors) } else { String::new() };
            let (total, slowest) = (human_duration(group.total_ns), human_duration(group.slowest_ns));
            lines.push(shown(&format!(
                "alike: {} x {} {}, {total} in all, slowest {slowest}{failed}",
                commas(group.count),
                group.service,
                group.name
            )));
        }
        for gap in &journey.gaps {
            let Some(node) = journey.nodes.iter().find(|node| node.node_id == gap.node_id) else { continue };
            let (length, start) = (human_duration(gap.duration_ns), clock(gap.start, self.zone));
            lines.push(shown(&format!("silent: {} {} recorded nothing for {length} from {start} on", node.service, node.name)));
        }
        lines
    }

    fn foot(&self) -> Vec<String> {
        let journey = self.journey;
        let mut lines = Vec::new();
        let mut legend = Vec::new();
        if self.look.critical {
            legend.push(format!("{} critical path (estimated)", self.glyphs.critical));
        }
        if journey.nodes.iter().any(|node| node.status.as_deref() == Some("error")) {
            legend.push(format!("{} error", self.glyphs.error));
        }
        if journey.nodes.iter().any(|node| node.inferred.is_some()) {
            legend.push(format!("{} placed by inference", self.glyphs.inferred));
        }
        if journey.nodes.iter().filter_map(|node| node.inferred.as_ref()).any(|inference| !inference.is_decided()) {
            legend.push(format!("{} not decided: stands above all that may have called it", self.glyphs.undecided));
        }
        if !legend.is_empty() {
            lines.push(self.paint.on(DIM, &legend.join("   ")));
        }
        let applied = if self.look.corrected { "applied" } else { "not applied" };
        for clock in journey.clock.iter().filter(|clock| clock.offset_ns != 0) {
            let who = clock.instance.as_ref().map_or(clock.service.clone(), |instance| format!("{} ({instance})", clock.service));
            let off = human_duration(clock.offset_ns);
            let sign = if clock.offset_ns > 0 { "+" } else { "" };
            lines.push(shown(&format!(
                "clock of {who}: correction {sign}{off} (estimated, {:.0} % sure, {applied})",
                clock.confidence * 100.0
            )));
        }
        lines.extend(self.aids());
        lines.extend(journey.hubs.iter().map(|hub| shown(&format!("not followed: {} ({})", hub.id, hub.reason))));
        lines.extend(journey.linked.iter().map(|linked| shown(&format!("linked: needle trace {}", linked.trace_id))));
        lines
    }
}

/// The left side of a row.
struct Label {
    tree: String,
    service: String,
    name: String,
    duration: String,
}

impl Label {
    fn width(&self) -> usize {
        let gaps = [&self.service, &self.duration].iter().filter(|part| !part.is_empty()).count();
        width(&self.tree) + width(&self.service) + width(&self.name) + width(&self.duration) + gaps
    }

    /// The label in `columns`: a name that is too long is cut, a service never is.
    fn line(&self, columns: usize, ascii: bool, service: &str, paint: Paint) -> String {
        let taken = self.width() - width(&self.name);
        let name = fit(&self.name, columns.saturating_sub(taken).max(6), ascii);
        let blanks = columns.saturating_sub(taken + width(&name)) + usize::from(!self.duration.is_empty());
        let between = if self.service.is_empty() { "" } else { " " };
        let painted = paint_service(service, &self.service, paint);
        format!("{}{painted}{between}{name}{}{}", self.tree, " ".repeat(blanks), paint.on(DIM, &self.duration))
    }
}

#[cfg(test)]
mod tests;
