//! Levels as loggers write them: words, and the numbers of pino and syslog.

use needle_storage::model::Severity;

/// The severity of a level in JSON: a word, or a number on one of two scales that do not overlap. 0 to 7
/// is syslog (0 is the worst); from 10 on it is pino's, bunyan's and its kin (10 trace, 20 debug, 30 info,
/// 40 warn, 50 error, 60 fatal; numbers between belong to the level below).
pub(crate) fn severity_of(text: &str) -> Option<Severity> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && (0.0..10_000.0).contains(&number) => number_severity(number as u32),
        Ok(_) => None,
        Err(_) => Severity::from_name(text).or_else(|| initial_severity(text)),
    }
}

/// The initials that glog, klog and Android's log write for levels.
fn initial_severity(text: &str) -> Option<Severity> {
    Some(match text.trim() {
        "T" | "t" | "V" | "v" => Severity::TRACE,
        "D" | "d" => Severity::DEBUG,
        "I" | "i" => Severity::INFO,
        "W" | "w" => Severity::WARN,
        "E" | "e" => Severity::ERROR,
        "C" | "c" => Severity(18),
        "F" | "f" => Severity::FATAL,
        _ => return None,
    })
}

fn number_severity(number: u32) -> Option<Severity> {
    Some(match number {
        0 => Severity::FATAL,
        1 => Severity(19),
        2 => Severity(18),
        3 => Severity::ERROR,
        4 => Severity::WARN,
        5 => Severity(10),
        6 => Severity::INFO,
        7 => Severity::DEBUG,
        10..20 => Severity::TRACE,
        20..30 => Severity::DEBUG,
        30..40 => Severity::INFO,
        40..50 => Severity::WARN,
        50..60 => Severity::ERROR,
        60.. => Severity::FATAL,
        8 | 9 => return None,
    })
}

/// How far into a line a level is looked for.
const LEVEL_BYTES_MAX: usize = 160;

/// The level word of a text line, as written, with its severity. `rest` is the line after its time.
///
/// Words in capitals count anywhere near the begin; others only as the first or second word, in
/// brackets, or after `level=`, because "error" and "info" are also words of prose.
pub(crate) fn find_level(rest: &str) -> Option<(&str, Severity)> {
    let mut end = rest.len().min(LEVEL_BYTES_MAX);
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    let head = rest[..end].split('\n').next().unwrap_or("");
    let mut words_before = 0;
    let mut at = 0;
    while at < head.len() {
        let word_start = at + head[at..].find(|c: char| c.is_ascii_alphanumeric())?;
        let word_end = head[word_start..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(head.len(), |length| word_start + length);
        let word = &head[word_start..word_end];
        // A word that was cut by the window is not known.
        let whole = word_end < head.len() || end == rest.len() || head.len() < end;
        if whole
            && word.len() >= 3
            && let Some(severity) = Severity::from_name(word)
            && is_level(word, words_before, &head[..word_start], &head[word_end..])
        {
            return Some((word, severity));
        }
        words_before += usize::from(!word.bytes().all(|b| b.is_ascii_digit()));
        at = word_end;
    }
    None
}

/// Words that are levels and as often something else: they count only where a level is announced.
const AMBIGUOUS: [&str; 8] = ["log", "config", "fine", "audit", "notice", "alert", "panic", "error"];

fn is_level(word: &str, words_before: usize, before: &str, after: &str) -> bool {
    let capitals = word.bytes().all(|b| !b.is_ascii_lowercase());
    // A part of a path, an address or a dotted name is no level; `local.ERROR:` is.
    let joins = |c: char| matches!(c, '/' | '\\' | '-' | '_' | '@');
    if before.ends_with(joins) || after.starts_with(joins) || (before.ends_with('.') && !capitals) {
        return false;
    }
    let key = before.trim_end_matches(['"', '\'', ' ', '\\', ':', '=']);
    let assigned = key.len() < before.len() && ["level", "lvl", "severity"].iter().any(|name| key.to_ascii_lowercase().ends_with(name));
    let bracketed = before.ends_with(['[', '<', '(', '|']) && after.starts_with([']', '>', ')', '|', ':']);
    if assigned || bracketed {
        return true;
    }
    if capitals {
        return word != "LOG" && word != "CONFIG";
    }
    match words_before {
        0 => word != "log",
        1 => after.starts_with([' ', ':', ']']) && !AMBIGUOUS.contains(&word.to_ascii_lowercase().as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pino_and_syslog_numbers_are_told_apart() {
        for (text, severity) in
            [("10", 1), ("30", 9), ("35", 9), ("50", 17), ("60", 21), ("0", 21), ("3", 17), ("6", 9), ("7", 5), ("warn", 13)]
        {
            assert_eq!(severity_of(text), Some(Severity(severity)), "{text}");
        }
        for text in ["8", "-1", "3.5", "loud"] {
            assert_eq!(severity_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_level_of_a_line_is_found_near_its_begin() {
        let cases = [
            (" 1900 DEBUG nova.osapi [-] an ERROR follows", Some("DEBUG")),
            (":WARN:foo bar baz", Some("WARN")),
            (" debug2 debug2message", Some("debug2")),
            (" info vpxd[45715] [Originator@6876 sub=vpxLro]", Some("info")),
            (" CEST [1329108] ERROR:  syntax error at", Some("ERROR")),
            ("] local.ERROR: Target class does not exist", Some("ERROR")),
            (" level=warn msg=\"error budget\"", Some("warn")),
            (" [main] [error] boom", Some("error")),
            (" TRACE cinder.api Traceback (most recent call last):", Some("TRACE")),
            (" [netutils.pyc]: Injection activated!", None),
            (" veridian automount[7998]: lookup(file): lookup for error failed", None),
            (" \"GET /info HTTP/1.1\" 200", None),
            ("", None),
        ];
        for (rest, word) in cases {
            assert_eq!(find_level(rest).map(|(word, _)| word), word, "{rest}");
        }
    }
}
