//! Points in time and spans of it, as people type them.

use anyhow::{Context, bail};
use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, ToSpan, Zoned};

/// What a time may look like, for error messages.
const TIME_FORMS: &str = "15m, 2d, 14:00, yesterday 14:00, 2026-11-20T14:00, 2026-11-20T14:00:00Z or @1763650000";

/// The point in time that `text` names, seen from `now` (whose time zone counts where none is given).
///
/// Two rules for logs: a span without a direction lies in the past (`15m` is 15 minutes ago), and a bare
/// clock time or weekday that has not come yet means the last one.
pub(crate) fn parse_time(text: &str, now: &Zoned) -> anyhow::Result<Timestamp> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "" => bail!("a time is missing: give one like {TIME_FORMS}"),
        "now" => return Ok(now.timestamp()),
        "noon" => return parse_time("12:00", now),
        "midnight" => return parse_time("00:00", now),
        _ => {}
    }
    if let Some(epoch) = epoch(text) {
        return epoch;
    }
    if let Ok(span) = text.parse::<Span>() {
        return before(now, text, span);
    }
    if let Some(exact) = exact(text, now) {
        return Ok(exact);
    }
    if let Ok(time) = text.parse::<Time>() {
        return last_one(now.with().time(time).build()?, now, 1.day());
    }
    in_words(text, now)
}

/// `@1763650000`, seconds, milliseconds, microseconds or nanoseconds by the number of digits; without `@` from ten digits on.
fn epoch(text: &str) -> Option<anyhow::Result<Timestamp>> {
    let (digits, fraction) = text.strip_prefix('@').unwrap_or(text).split_once('.').unwrap_or((text.strip_prefix('@').unwrap_or(text), ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !all_digits(digits) || !all_digits(fraction) || (digits.len() < 10 && !text.starts_with('@')) {
        return None;
    }
    let scale: i128 = match digits.len() {
        0..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let whole = digits.parse::<i128>().ok()?.checked_mul(scale)?;
    let part = format!("{fraction:0<9.9}").parse::<i128>().ok()? * scale / 1_000_000_000;
    Some(Timestamp::from_nanosecond(whole + part).with_context(|| format!("{text} is no time that can be handled")))
}

fn before(now: &Zoned, text: &str, span: Span) -> anyhow::Result<Timestamp> {
    let ago = if text.starts_with('+') { span } else { span.abs().negate() };
    Ok(now.checked_add(ago).with_context(|| format!("{text} before now is no time that can be handled"))?.timestamp())
}

/// Forms that say everything: RFC 3339, with a zone in brackets, or a date with or without a time in the zone of `now`.
fn exact(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Some(zoned.timestamp());
    }
    // A weekday or a bare clock time is no DateTime to jiff, so that nothing is taken from today here.
    let local: DateTime = text.parse().ok()?;
    local.to_zoned(now.time_zone().clone()).ok().map(|zoned| zoned.timestamp())
}

fn in_words(text: &str, now: &Zoned) -> anyhow::Result<Timestamp> {
    let unknown = || format!("{text:?} is no time: give one like {TIME_FORMS}");
    let zoned = parse_datetime::parse_datetime_at_date(now.clone(), text)
        .ok()
        .and_then(parse_datetime::ParsedDateTime::into_zoned)
        .with_context(unknown)?;
    let first: String = text.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_ascii_lowercase();
    let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    if first.len() >= 3 && weekdays.iter().any(|day| day.starts_with(&first)) {
        return last_one(zoned, now, 7.days());
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(':') && !text.contains('-') {
        return last_one(zoned, now, 1.day());
    }
    Ok(zoned.timestamp())
}

fn last_one(zoned: Zoned, now: &Zoned, step: Span) -> anyhow::Result<Timestamp> {
    let past = if zoned > *now { zoned.checked_sub(step)? } else { zoned };
    Ok(past.timestamp())
}

/// A length of time: `90s`, `1h30m`, `7d`. Days have 24 hours; months and years have no fixed length and are refused.
pub(crate) fn parse_duration(text: &str) -> anyhow::Result<std::time::Duration> {
    let form = || format!("{text:?} is no duration: give one like 90s, 1h30m or 7d");
    let span: Span = text.trim().parse().ok().with_context(form)?;
    let duration: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok().with_context(form)?;
    duration.try_into().ok().with_context(form)
}

/// A time zone: `utc`, `local`, a name (`Europe/Berlin`) or an offset (`+01:00`).
pub(crate) fn parse_zone(text: &str) -> anyhow::Result<TimeZone> {
    if text.eq_ignore_ascii_case("local") {
        return Ok(TimeZone::system());
    }
    if text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = offset(text) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(text)
        .ok()
        .with_context(|| format!("{text:?} is no time zone: give utc, local, a name like Europe/Berlin or an offset like +01:00"))
}

/// The name by which a server knows a zone.
pub(crate) fn zone_name(text: &str) -> anyhow::Result<String> {
    let zone = parse_zone(text)?;
    let offset = || zone.to_fixed_offset().ok().map(|offset| offset.to_string());
    let name = zone.iana_name().map(str::to_owned).or_else(offset);
    name.with_context(|| format!("the zone {text:?} has no name on this machine: give one like Europe/Berlin or an offset like +01:00"))
}

fn offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':').unwrap_or((&text[1..], "0"));
    Offset::from_seconds(sign * (hours.parse::<i32>().ok()?.checked_mul(3600)? + minutes.parse::<i32>().ok()?.checked_mul(60)?)).ok()
}

/// A length of time as people read it: `870ns`, `4.2ms`, `1.84s`, `2m05s`, `1h02m`.
pub(crate) fn human_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let amount = nanoseconds.unsigned_abs();
    let scaled = |unit_ns: u64, unit: &str| {
        let value = amount as f64 / unit_ns as f64;
        let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        let text = format!("{value:.digits$}");
        let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{sign}{text}{unit}")
    };
    let seconds = (amount + 500_000_000) / 1_000_000_000;
    match amount {
        0..1_000 => format!("{sign}{amount}ns"),
        1_000..999_500 => scaled(1_000, "µs"),
        999_500..999_500_000 => scaled(1_000_000, "ms"),
        999_500_000..60_000_000_000 => scaled(1_000_000_000, "s"),
        60_000_000_000..3_600_000_000_000 => format!("{sign}{}m{:02}s", seconds / 60, seconds % 60),
        3_600_000_000_000..86_400_000_000_000 => format!("{sign}{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{sign}{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Friday.
    fn now() -> Zoned {
        "2026-11-20T09:30:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn utc(text: &str) -> String {
        parse_time(text, &now()).map_or_else(|error| format!("{error:#}"), |time| time.to_string())
    }

    #[test]
    fn times_as_people_type_them() {
        for (text, time) in [
            ("now", "2026-11-20T08:30:00Z"),
            ("15m", "2026-11-20T08:15:00Z"),
            ("-15m", "2026-11-20T08:15:00Z"),
            ("+15m", "2026-11-20T08:45:00Z"),
            ("1h30m", "2026-11-20T07:00:00Z"),
            ("2 days", "2026-11-18T08:30:00Z"),
            ("15 minutes ago", "2026-11-20T08:15:00Z"),
            ("2 hours ago", "2026-11-20T06:30:00Z"),
            ("1d", "2026-11-19T08:30:00Z"),
            ("14:00", "2026-11-19T13:00:00Z"),
            ("09:00", "2026-11-20T08:00:00Z"),
            ("noon", "2026-11-19T11:00:00Z"),
            ("midnight", "2026-11-19T23:00:00Z"),
            ("today", "2026-11-20T08:30:00Z"),
            ("yesterday 14:00", "2026-11-19T13:00:00Z"),
            ("today 09:15", "2026-11-20T08:15:00Z"),
            ("friday 10:00", "2026-11-13T09:00:00Z"),
            ("friday 09:00", "2026-11-20T08:00:00Z"),
            ("monday", "2026-11-15T23:00:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20T09:00", "2026-11-20T08:00:00Z"),
            ("2026-11-20 09:00:01.5", "2026-11-20T08:00:01.5Z"),
            ("2026-11-20T14:00:00.123456789Z", "2026-11-20T14:00:00.123456789Z"),
            ("2026-11-20T14:00:00+05:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20 14:00[America/New_York]", "2026-11-20T19:00:00Z"),
            ("2026-11-20 14:00 UTC", "2026-11-20T14:00:00Z"),
            ("@1763650000", "2025-11-20T14:46:40Z"),
            ("@1763650000.25", "2025-11-20T14:46:40.25Z"),
            ("@1763650000123", "2025-11-20T14:46:40.123Z"),
            ("1763650000123456789", "2025-11-20T14:46:40.123456789Z"),
        ] {
            assert_eq!(utc(text), time, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_is() {
        for text in ["", "soon", "25:99", "2026-13-40"] {
            assert!(utc(text).contains("give one like 15m"), "{text}: {}", utc(text));
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("7d").unwrap().as_secs(), 604_800);
        assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5_400);
        assert_eq!(parse_duration("250ms").unwrap().as_millis(), 250);
        for text in ["", "7", "-7d", "2 months", "week"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zones() {
        for text in ["utc", "UTC", "local", "Europe/Berlin", "+01:00", "-0530", "+1"] {
            assert_eq!(parse_zone(text).is_ok(), text != "-0530", "{text}");
        }
        assert!(parse_zone("Mars/Olympus").unwrap_err().to_string().contains("Europe/Berlin"));
    }

    #[test]
    fn durations_as_people_read_them() {
        for (nanoseconds, text) in [
            (0, "0ns"),
            (870, "870ns"),
            (4_200_000, "4.2ms"),
            (28_000_000, "28ms"),
            (999_999_999, "1s"),
            (1_838_000_000, "1.84s"),
            (12_340_000_000, "12.3s"),
            (125_000_000_000, "2m05s"),
            (3_720_000_000_000, "1h02m"),
            (90_000_000_000_000, "1d01h"),
            (-80_000_000, "-80ms"),
        ] {
            assert_eq!(human_duration(nanoseconds), text);
        }
    }
}
