//! A bar of a waterfall, drawn in eighths of a column.

/// A line of columns onto which times are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Columns.
    pub(crate) columns: usize,
    /// What the whole line stands for, nanoseconds; at least 1.
    pub(crate) total_ns: i64,
    /// Draw with ASCII characters only.
    pub(crate) ascii: bool,
}

/// How a bar is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A span.
    Span,
    /// A span with status error.
    Error,
    /// Something inferred.
    Inferred,
}

/// Left parts of a column, one eighth to a whole.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

impl Scale {
    /// The bar from `start_ns` after the beginning on; what lies outside is drawn at the edge.
    pub(crate) fn bar(self, start_ns: i64, duration_ns: i64, kind: Kind) -> String {
        let eighth = |ns: i64| {
            let position = ns.clamp(0, self.total_ns) as f64 / self.total_ns as f64;
            (position * (self.columns * 8) as f64).round() as usize
        };
        // Always at least one eighth, and never beyond the line.
        let start = eighth(start_ns).min((self.columns * 8).saturating_sub(1));
        let end = eighth(start_ns.saturating_add(duration_ns.max(0))).max(start + 1);
        if self.ascii || kind == Kind::Inferred { self.whole_columns(start, end, kind) } else { self.eighths(start, end) }
    }

    fn whole_columns(self, start: usize, end: usize, kind: Kind) -> String {
        let character = match kind {
            Kind::Inferred if self.ascii => '.',
            Kind::Inferred => '·',
            Kind::Error => '#',
            Kind::Span => '=',
        };
        let first = start / 8;
        let last = end.div_ceil(8).clamp(first + 1, self.columns.max(1));
        format!("{}{}", " ".repeat(first), character.to_string().repeat(last - first))
    }

    fn eighths(self, start: usize, end: usize) -> String {
        let (first, offset) = (start / 8, start % 8);
        let mut bar = " ".repeat(first);
        if end <= (first + 1) * 8 {
            // Within one column: a left part at the left, a right half or a right edge at the right.
            bar.push(match offset {
                0..4 => EIGHTHS[end - start - 1],
                4..7 => '▐',
                _ => '▕',
            });
            return bar;
        }
        bar.push(if offset >= 4 { '▐' } else { '█' });
        bar.push_str(&"█".repeat(end / 8 - first - 1));
        if !end.is_multiple_of(8) {
            bar.push(EIGHTHS[end % 8 - 1]);
        }
        bar
    }

    /// `0      0.46s      0.92s`: a few times along the line.
    pub(crate) fn axis(self, label: impl Fn(i64) -> String) -> String {
        const MARKS: i64 = 4;
        let width = super::super::terminal::width;
        let last = label(self.total_ns);
        let last_start = self.columns.saturating_sub(width(&last));
        let mut line = String::from("0");
        for mark in 1..MARKS {
            let text = label(self.total_ns / MARKS * mark + self.total_ns % MARKS * mark / MARKS);
            let (start, taken) = (self.columns * mark as usize / MARKS as usize, width(&line));
            if start > taken && start + width(&text) < last_start {
                line.push_str(&" ".repeat(start - taken));
                line.push_str(&text);
            }
        }
        if last_start > width(&line) {
            line.push_str(&" ".repeat(last_start - width(&line)));
            line.push_str(&last);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_on_the_line_and_are_never_empty() {
        for ascii in [false, true] {
            for kind in [Kind::Span, Kind::Error, Kind::Inferred] {
                for columns in [1, 7, 40] {
                    let scale = Scale { columns, total_ns: 1000, ascii };
                    for start in [-500, 0, 1, 333, 999, 1000, 5000] {
                        for duration in [-3, 0, 1, 10, 125, 1000, i64::MAX] {
                            let bar = scale.bar(start, duration, kind);
                            let drawn = bar.trim_start();
                            assert!(!drawn.is_empty() && bar.chars().count() <= columns, "{start} {duration} {columns}: {bar:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_bar_shows_eighths() {
        let scale = Scale { columns: 10, total_ns: 80, ascii: false };
        let bar = |start, duration| scale.bar(start, duration, Kind::Span);
        assert_eq!(bar(0, 80), "██████████");
        assert_eq!(bar(0, 3), "▍");
        assert_eq!(bar(4, 20), "▐██");
        assert_eq!(bar(8, 11), " █▍");
        assert_eq!(bar(15, 1), " ▕");
        assert_eq!(Scale { ascii: true, ..scale }.bar(16, 24, Kind::Error), "  ###");
        assert_eq!(scale.bar(16, 24, Kind::Inferred), "  ···");
    }

    #[test]
    fn the_axis_is_as_wide_as_the_line() {
        let scale = Scale { columns: 40, total_ns: 1_840, ascii: false };
        assert_eq!(scale.axis(|ns| ns.to_string()), "0         460       920       1380  1840");
        assert!(Scale { columns: 6, ..scale }.axis(|ns| ns.to_string()).len() <= 6);
    }
}
