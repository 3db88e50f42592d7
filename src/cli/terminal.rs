//! The terminal: text from records is shown on it, never obeyed by it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthChar;

/// Columns assumed where there is no terminal to ask.
const COLUMNS_IN_A_PIPE: usize = 80;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR or TERM=dumb says no; in a pipe if CLICOLOR_FORCE says so.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A failure to write to stdout, kept apart so that only there a broken pipe means "the reader has enough".
#[derive(Debug, thiserror::Error)]
#[error("stdout cannot be written: {0}")]
pub(crate) struct OutputError(pub(crate) io::Error);

/// Where data goes, and how it may look there.
pub(crate) struct Output {
    sink: Box<dyn Write>,
    /// Whether a terminal reads it.
    pub(crate) terminal: bool,
    /// Puts colours on text.
    pub(crate) paint: Paint,
}

impl Output {
    /// Stdout.
    pub(crate) fn stdout(color: Color) -> Output {
        let stdout = io::stdout();
        let colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
        };
        let terminal = stdout.is_terminal();
        Output::to(Box::new(BufWriter::new(stdout)), terminal, colored)
    }

    /// Somewhere else, as to a terminal or not, with colours or not.
    pub(crate) fn to(sink: Box<dyn Write>, terminal: bool, colored: bool) -> Output {
        Output { sink, terminal, paint: Paint { colored } }
    }

    /// Memory, for tests.
    #[cfg(test)]
    pub(crate) fn memory() -> (Output, Memory) {
        let memory = Memory::default();
        (Output::to(Box::new(memory.clone()), false, false), memory)
    }

    /// Writes `text` and a line break.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), OutputError> {
        // In one piece, so that nothing cuts a line in two.
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.sink.write_all(bytes).map_err(OutputError)
    }

    /// Hands what was written to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        self.sink.flush().map_err(OutputError)
    }
}

/// What a test printed.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Memory(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

#[cfg(test)]
impl Memory {
    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

#[cfg(test)]
impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts colours on text, or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paint {
    colored: bool,
}

impl Paint {
    /// `text` in `style`.
    pub(crate) fn on(self, style: Style, text: &str) -> String {
        if self.colored && style != Style::new() && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Says something beside the data: one line on stderr, `needle: ...`.
pub(crate) fn note(text: &str) {
    // The lines of a caret stay lines; all else that could move the cursor is shown.
    let text: Vec<Cow<'_, str>> = text.split('\n').map(visible).collect();
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "needle: {}", text.join("\n"));
}

/// Columns of the terminal, or 80 in a pipe.
pub(crate) fn columns() -> usize {
    if !io::stdout().is_terminal() {
        return COLUMNS_IN_A_PIPE;
    }
    terminal_size::terminal_size().map_or(COLUMNS_IN_A_PIPE, |(width, _)| usize::from(width.0))
}

/// `text` with everything that a terminal would obey or that reorders what is read made visible: control
/// characters (C0, DEL, C1), line and paragraph separators, bidirectional and invisible formatting. One
/// record stays one line.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            character if is_obeyed(character) && character.is_ascii() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(character));
            }
            character if is_obeyed(character) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            }
            character => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// JSON text made safe for a terminal. What JSON's own escaping leaves (DEL, C1, bidirectional controls) can
/// only stand inside strings, where `\u....` means the same.
pub(crate) fn visible_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_obeyed) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            character if is_obeyed(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
            character => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Text for a terminal that keeps its lines: as [`visible`], but line breaks and tabs stay.
pub(crate) fn visible_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            character => shown.push_str(&visible(character.encode_utf8(&mut [0; 4]))),
        }
    }
    shown
}

/// Text whose further lines are indented, so that none of them looks like a record of its own.
pub(crate) fn continued(text: &str) -> Cow<'_, str> {
    const INDENTATION: &str = "    ";
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if !text.contains(['\n', '\r']) {
        return Cow::Borrowed(text);
    }
    let mut indented = String::with_capacity(text.len() + 64);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        indented.push(character);
        // A carriage return alone begins a line on a terminal.
        if character == '\n' || character == '\r' && characters.peek() != Some(&'\n') {
            indented.push_str(INDENTATION);
        }
    }
    Cow::Owned(indented)
}

fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that `text` (already made visible) takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// `text` cut to `columns`, with `…` (or `~`) where something is missing.
pub(crate) fn fit(text: &str, columns: usize, ascii: bool) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut taken = 0;
    let mut fitted: String = text
        .chars()
        .take_while(|character| {
            taken += character.width().unwrap_or(0);
            taken < columns
        })
        .collect();
    if columns > 0 {
        fitted.push(if ascii { '~' } else { '…' });
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("plain ünïcode 漢字 🪡", "plain ünïcode 漢字 🪡"),
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("nul\0del\x7f", "nul\\x00del\\x7f"),
            ("csi \u{9b}31m nel \u{85}", "csi \\u{9b}31m nel \\u{85}"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("isolate\u{2066}x\u{2069}", "isolate\\u{2066}x\\u{2069}"),
            // Formats that are no longer in use, and are still obeyed.
            ("nominal\u{206e}gp", "nominal\\u{206e}gp"),
            ("line\u{2028}sep", "line\\u{2028}sep"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn json_made_safe_is_the_same_json() {
        let json = "{\"body\":\"\u{9b}31m \u{202e} \u{e0041} ok\"}";
        let shown = visible_json(json);
        assert!(!shown.chars().any(is_obeyed), "{shown}");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(json).unwrap(), serde_json::from_str(&shown).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn raw_text_keeps_its_lines() {
        assert_eq!(visible_lines("a\n\tb\x1b[2J\u{202e}"), "a\n\tb\\x1b[2J\\u{202e}");
    }

    #[test]
    fn further_lines_are_indented() {
        assert_eq!(continued("one\n"), "one");
        assert_eq!(continued("one\r\ntwo\rthree\n\nfour\r\n"), "one\r\n    two\r    three\n    \n    four");
        assert!(matches!(continued("one"), Cow::Borrowed("one")));
    }

    #[test]
    fn text_is_cut_by_columns_not_characters() {
        assert_eq!(fit("abcdef", 6, false), "abcdef");
        assert_eq!(fit("abcdefg", 6, false), "abcde…");
        assert_eq!(fit("漢字漢字", 5, false), "漢字…");
        assert_eq!(fit("abc", 0, true), "");
        assert_eq!(width(&fit("漢字漢字", 4, true)), 3);
    }
}
