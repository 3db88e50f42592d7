//! Times as logs write them. A time without a zone is of the zone that the sender names, else UTC; one without a year or
//! a date is the latest such time that is not after the arrival of the request.
//!
//! Where clocks are put back, an hour comes twice, and where they are put forward, one is left out: such a time is read by
//! the offset that was in force before the change.

use std::cell::Cell;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use needle_storage::RawRequest;
use needle_storage::model::UnixNanos;
use regex::{Captures, Regex, RegexBuilder};

use crate::decode::DecodeError;
use crate::notices::{Notices, count};

/// A time at the begin of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Leading<'a> {
    pub(crate) time: UnixNanos,
    /// Where the text after the time begins.
    pub(crate) end: usize,
    /// The level, where it is part of the time stamp (glog's `E0517 ...`).
    pub(crate) level: Option<&'a str>,
    /// Whether its zone is neither written nor told with the request.
    pub(crate) without_zone: bool,
}

/// Reads the times of one request.
#[derive(Clone, Debug)]
pub(crate) struct TimeReader {
    arrival: UnixNanos,
    /// Of times that carry none.
    zone: TimeZone,
    /// Whether the request told it.
    zone_is_told: bool,
    /// Times that carry none, where none was told.
    without_zone: Cell<usize>,
}

impl TimeReader {
    /// For the times in a request, or what is wrong with the zone that it names.
    pub(crate) fn of(request: &RawRequest) -> Result<TimeReader, DecodeError> {
        let zone = match &request.timezone {
            Some(name) => zone_of(name).ok_or_else(|| DecodeError::Zone(name.chars().take(ZONE_SHOWN_MAX).collect()))?,
            None => TimeZone::UTC,
        };
        Ok(TimeReader { arrival: request.arrival, zone, zone_is_told: request.timezone.is_some(), without_zone: Cell::default() })
    }

    /// The time a line begins with.
    pub(crate) fn leading<'a>(&self, line: &'a str) -> Option<Leading<'a>> {
        self.find(line).inspect(|found| self.note(found))
    }

    /// Tells of times whose zone was assumed.
    pub(crate) fn tell(&self, notices: &Notices) {
        notices.times_without_zone.set(self.without_zone.get());
    }

    fn note(&self, found: &Leading<'_>) {
        if found.without_zone {
            count(&self.without_zone);
        }
    }

    fn find<'a>(&self, line: &'a str) -> Option<Leading<'a>> {
        FORMS.iter().find_map(|form| {
            let captures = form.captures(line)?;
            let time = self.time_of(&captures)?;
            let end = captures.name("time").map_or(0, |time| time.end());
            let without_zone = !self.zone_is_told && ["epoch", "z", "hz"].into_iter().all(|zone| captures.name(zone).is_none());
            Some(Leading { time, end, level: captures.name("level").map(|level| level.as_str()), without_zone })
        })
    }

    /// The time a text is, if it is nothing else.
    pub(crate) fn of_text(&self, text: &str) -> Option<UnixNanos> {
        let text = text.trim();
        of_number(text).or_else(|| {
            let found = self.find(text).filter(|found| found.end == text.len())?;
            self.note(&found);
            Some(found.time)
        })
    }

    fn time_of(&self, captures: &Captures<'_>) -> Option<UnixNanos> {
        let text = |name: &str| captures.name(name).map(|found| found.as_str());
        if let Some(epoch) = text("epoch") {
            return of_number(epoch);
        }
        let number = |name: &str| text(name).and_then(|digits| digits.parse::<i16>().ok());
        let month = text("mon").and_then(month_of).or_else(|| number("m").map(|month| month as i8));
        let day = number("d").map(|day| day as i8);
        let year = number("y").or_else(|| number("yy").map(|year| 2000 + year));
        let named = match text("z").or_else(|| text("hz")) {
            Some(zone) => Some(TimeZone::fixed(offset_of(zone)?)),
            None => None,
        };
        let zone = named.as_ref().unwrap_or(&self.zone);
        let nanos = fraction_of(text("f").unwrap_or(""), 9) as i32;
        let (hour, minute, second) = (number("h")? as i8, number("mi")? as i8, number("s")?.min(59) as i8);
        let at = |year: i16, month: i8, day: i8| {
            let civil = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
            // "Compatible" is by the offset before a change of clocks.
            let time = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
            u64::try_from(time.as_nanosecond()).ok().map(UnixNanos)
        };
        match (year, month, day) {
            (Some(year), Some(month), Some(day)) => at(year, month, day),
            (None, Some(month), Some(day)) => {
                let this_year = self.today(zone)?.year();
                // A sender's clock may be ahead of ours by a little; by a day it is last year's line.
                let plausible = |time: &UnixNanos| time.since(self.arrival) < DAY_NS;
                at(this_year, month, day).filter(plausible).or_else(|| (1..=4).find_map(|years| at(this_year - years, month, day)))
            }
            (None, None, None) => {
                let today = self.today(zone)?;
                let ahead = |time: &UnixNanos| time.since(self.arrival) < DAY_NS / 2;
                let yesterday = || today.yesterday().ok().and_then(|day| at(day.year(), day.month(), day.day()));
                at(today.year(), today.month(), today.day()).filter(ahead).or_else(yesterday)
            }
            _ => None,
        }
    }

    /// The day of the arrival.
    fn today(&self, zone: &TimeZone) -> Option<Date> {
        let arrival = Timestamp::from_nanosecond(i128::from(self.arrival.0)).ok()?;
        Some(zone.to_datetime(arrival).date())
    }
}

const DAY_NS: i64 = 86_400_000_000_000;
/// Of the name of a zone that is none, so many characters are told.
const ZONE_SHOWN_MAX: usize = 100;

/// `Europe/Berlin`, `UTC`, `+01:00`.
fn zone_of(name: &str) -> Option<TimeZone> {
    // A plus that was not escaped arrives as a space.
    let name = &*name.replace(' ', "+");
    match name.as_bytes().first()? {
        b'+' | b'-' => OFFSET.is_match(name).then(|| offset_of(name).map(TimeZone::fixed)).flatten(),
        _ => TimeZone::get(name).ok(),
    }
}

/// The time of a number since the epoch in seconds, milli-, micro- or nanoseconds, told apart by its size:
/// the borders lie in the year 5138 for the smaller unit and in 1973 for the larger one.
pub(crate) fn of_number(decimal: &str) -> Option<UnixNanos> {
    if let Ok(number) = decimal.parse::<f64>()
        && decimal.contains(['e', 'E'])
        && number.is_finite()
    {
        // Display writes a double without an exponent, and as short as reads back the same.
        return of_number(&number.to_string());
    }
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    if whole.is_empty() || whole.len() > 20 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let digits = match whole {
        0..100_000_000_000 => 9,
        100_000_000_000..100_000_000_000_000 => 6,
        100_000_000_000_000..100_000_000_000_000_000 => 3,
        _ => 0,
    };
    let nanos = u128::from(whole) * 10u128.pow(digits) + u128::from(fraction_of(fraction, digits as usize));
    u64::try_from(nanos).ok().filter(|nanos| *nanos != 0).map(UnixNanos)
}

/// The first `digits` digits of a fraction, as a number.
fn fraction_of(fraction: &str, digits: usize) -> u64 {
    fraction.bytes().chain(std::iter::repeat(b'0')).take(digits).fold(0, |sum, b| sum * 10 + u64::from(b - b'0'))
}

/// What may stand before a time: colours, the name `docker compose` puts before a line, syslog's priority,
/// a logfmt key, a level, an opening bracket or quote.
const BEFORE: &str = r#"^(?:\x1b\[[0-9;]*[a-zA-Z])*(?:[\w.-]{1,64}\s*\|\s+)?(?:\x1b\[[0-9;]*[a-zA-Z])*(?:<\d{1,3}>(?:1\s)?)?(?:\w{1,32}::){0,4}(?:\w{1,12}=)?(?:\[?[A-Z]{3,8}\]?:?\s+)?[\["'(<]?"#;
const CLOCK: &str = r"(?P<h>[0-2]\d):(?P<mi>[0-5]\d):(?P<s>[0-6]\d)(?:[.,:](?P<f>\d{1,12}))?";
const ZONE: &str = r"(?:\s?(?P<z>[Zz]|UTC|GMT|WEST|WET|CEST|CET|EEST|EET|MSK|BST|EST|EDT|CST|CDT|MST|MDT|PST|PDT|JST|KST|AEST|AEDT|[+-]\d\d:?\d\d)\b|(?P<hz>[+-]\d\d)\b)?";
const MONTH: &str = "(?P<mon>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";

static OFFSET: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[+-]\d\d(?::?\d\d)?$").expect("the pattern is constant"));

static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compile = |pattern: String| RegexBuilder::new(&pattern).unicode(false).build().expect("the patterns are constant");
    [
        // 2018-06-27 06:39:57.993, 2018-06-27T06:39:57,993+02:00, 2018/06/27 06:39:57 CEST
        format!(r"{BEFORE}(?P<time>(?P<y>\d{{4}})[-/.](?P<m>\d\d)[-/.](?P<d>\d\d)[Tt _:]\s?{CLOCK}{ZONE})"),
        // 20180627T063957Z
        format!(r"{BEFORE}(?P<time>(?P<y>\d{{4}})(?P<m>\d\d)(?P<d>\d\d)[Tt ](?P<h>\d\d):?(?P<mi>\d\d):?(?P<s>\d\d)(?:[.,](?P<f>\d{{1,12}}))?{ZONE})"),
        // 17/06/09 20:10:40 (year, month, day)
        format!(r"{BEFORE}(?P<time>(?P<yy>\d\d)/(?P<m>\d\d)/(?P<d>\d\d) {CLOCK}{ZONE})"),
        // Nov  3 09:23:38 (syslog)
        format!(r"{BEFORE}(?P<time>{MONTH}\s{{1,2}}(?P<d>\d{{1,2}}) {CLOCK}(?: (?P<y>\d{{4}})\b)?)"),
        // Wed May 19 08:00:01 EST 2021 (ctime)
        format!(r"{BEFORE}(?P<time>[A-Z][a-z][a-z],? {MONTH}\s{{1,2}}(?P<d>\d{{1,2}}) {CLOCK}{ZONE} (?P<y>\d{{4}})\b)"),
        // Tue, 20 Jul 2009 22:59:27 +0000, 20-Jul-2009 22:59:27.123
        format!(r"{BEFORE}(?P<time>(?:[A-Z][a-z][a-z], )?(?P<d>\d{{1,2}})[ -]{MONTH}[ -](?P<y>\d{{4}}) {CLOCK}{ZONE})"),
        // 10.112.81.15 - - [15/Feb/2013:06:00:31 +0000] (access logs)
        format!(r#"^(?u:[^\["{{])*(?P<time>\[(?P<d>\d{{1,2}})/{MONTH}/(?P<y>\d{{4}}):{CLOCK}{ZONE}\])"#),
        // E0517 15:04:22.619632 (glog and klog)
        format!(r"^(?P<level>[IWEF])(?P<time>(?P<m>\d\d)(?P<d>\d\d) {CLOCK})"),
        // 16:51:24.967
        format!(r"{BEFORE}(?P<time>(?P<h>[0-2]\d):(?P<mi>[0-5]\d):(?P<s>[0-6]\d)[.,](?P<f>\d{{3,9}})\b)"),
        // 1761019822.315
        r"^\[?(?P<time>(?P<epoch>1\d{9}(?:\.\d{1,9})?|1\d{12}|1\d{15}|1\d{18}))(?:[\s:,\]]|$)".to_owned(),
    ]
    .map(compile)
    .into()
});

fn month_of(name: &str) -> Option<i8> {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES.iter().position(|month| *month == name).map(|at| at as i8 + 1)
}

/// The offset that an abbreviation or digits mean.
fn offset_of(zone: &str) -> Option<Offset> {
    let hours = match zone {
        "Z" | "z" | "UTC" | "GMT" | "WET" => 0,
        "BST" | "WEST" | "CET" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        "AEST" => 10,
        "AEDT" => 11,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        numeric => {
            let digits: String = numeric.chars().filter(char::is_ascii_digit).collect();
            let hours: i32 = digits.get(..2)?.parse().ok()?;
            let minutes: i32 = digits.get(2..).filter(|m| !m.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
            let seconds = hours * 3600 + minutes * 60;
            return Offset::from_seconds(if numeric.starts_with('-') { -seconds } else { seconds }).ok();
        }
    };
    Some(Offset::constant(hours))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use needle_storage::BodyFormat;
    use needle_storage::model::Tenant;

    use super::*;

    /// 2026-11-20T12:00:00Z
    const ARRIVAL: UnixNanos = UnixNanos(1_795_176_000_000_000_000);

    fn reader(timezone: Option<&str>, arrival: UnixNanos) -> Result<TimeReader, DecodeError> {
        TimeReader::of(&RawRequest {
            tenant: Tenant::default(),
            format: BodyFormat::TextLogs,
            arrival,
            service: None,
            timezone: timezone.map(str::to_owned),
            body: Bytes::new(),
        })
    }

    fn leading(line: &str, arrival: UnixNanos) -> Option<Leading<'_>> {
        reader(None, arrival).unwrap().leading(line)
    }

    fn shown(time: UnixNanos) -> String {
        Timestamp::from_nanosecond(i128::from(time.0)).unwrap().to_string()
    }

    #[test]
    fn times_whose_zone_is_assumed_are_told() {
        let told = |timezone: Option<&str>| {
            let (times, notices) = (reader(timezone, ARRIVAL).unwrap(), Notices::default());
            for line in
                ["2018-06-27 06:39:57.993 1900 DEBUG nova", "2015-04-24T21:08:10.313913+00:00 err rbd", "no time", "1795176000.25 x"]
            {
                times.leading(line);
            }
            for text in ["2018-06-27 06:39:57", "2018-06-27 06:39:57 and more", "2018-06-27T06:39:57Z", "1795176000"] {
                times.of_text(text);
            }
            times.tell(&notices);
            notices.times_without_zone.get()
        };
        assert_eq!(told(None), 2);
        assert_eq!(told(Some("UTC")), 0);
    }

    #[test]
    fn the_usual_forms_at_the_begin_of_a_line_are_read() {
        let cases = [
            ("2018-06-27 06:39:57.993 1900 DEBUG nova", "2018-06-27T06:39:57.993Z"),
            ("2012-07-02 10:22:40,672:DEBUG:foo", "2012-07-02T10:22:40.672Z"),
            ("2015-04-24T21:08:10.313913+00:00 err rbd", "2015-04-24T21:08:10.313913Z"),
            ("2022-08-27T17:22:01.694554+03:00 space01", "2022-08-27T14:22:01.694554Z"),
            ("2025-04-12 00:14:12.837 CEST [1329108] ERROR:", "2025-04-11T22:14:12.837Z"),
            ("2025-01-01 00:00:00.123456789:INFO:nano", "2025-01-01T00:00:00.123456789Z"),
            ("[2023-05-15 18:19:32] local.ERROR: x", "2023-05-15T18:19:32Z"),
            ("\"2014-06-15 01:04:52\"\t\"x\"", "2014-06-15T01:04:52Z"),
            ("web-1  | 2024-04-25T05:32:35.584725130Z  * Serving", "2024-04-25T05:32:35.58472513Z"),
            ("MainThread::INFO::2011-12-05 07:04:56,101::vdsm", "2011-12-05T07:04:56.101Z"),
            ("time=\"2020-01-02T03:04:05Z\" level=info", "2020-01-02T03:04:05Z"),
            ("INFO  2020-01-02 03:04:05 x", "2020-01-02T03:04:05Z"),
            ("<34>1 2003-10-11T22:14:15.003Z host su", "2003-10-11T22:14:15.003Z"),
            ("17/06/09 20:10:40 INFO executor", "2017-06-09T20:10:40Z"),
            ("Nov  3 09:23:38 veridian automount[7998]: x", "2026-11-03T09:23:38Z"),
            ("Dec  3 09:23:38 veridian automount[7998]: x", "2025-12-03T09:23:38Z"),
            ("Wed May 19 08:00:01 EST 2021 line 1", "2021-05-19T13:00:01Z"),
            ("20-Jul-2009 22:59:27.123 INFO [main]", "2009-07-20T22:59:27.123Z"),
            ("10.112.81.15 - - [15/Feb/2013:06:00:31 +0100] \"-\" 400", "2013-02-15T05:00:31Z"),
            ("E0517 15:04:22.619632 1952452992 x.cc:253]", "2026-05-17T15:04:22.619632Z"),
            ("10:51:24.967 INFO  u.c.UserController#48", "2026-11-20T10:51:24.967Z"),
            ("1761019822.315 hello", "2025-10-21T04:10:22.315Z"),
            ("20180627T063957Z hello", "2018-06-27T06:39:57Z"),
        ];
        for (line, time) in cases {
            assert_eq!(leading(line, ARRIVAL).map(|found| shown(found.time)).as_deref(), Some(time), "{line}");
        }
    }

    #[test]
    fn lines_without_a_time_have_none() {
        for line in [
            "hello",
            "Traceback (most recent call last):",
            "at 10:22",
            "2018-13-45 06:39:57 x",
            "{\"time\":1}",
            "",
            "1234 x",
            "  File \"a\"",
        ] {
            assert_eq!(leading(line, ARRIVAL), None, "{line}");
        }
    }

    #[test]
    fn numbers_are_told_apart_by_their_size_and_keep_their_fraction() {
        let cases = [
            ("1761019822", 1_761_019_822_000_000_000),
            ("1761019822.3152757", 1_761_019_822_315_275_700),
            ("1490385986240", 1_490_385_986_240_000_000),
            ("1490385986240.25", 1_490_385_986_240_250_000),
            ("1490385986240123", 1_490_385_986_240_123_000),
            ("1490385986240123456", 1_490_385_986_240_123_456),
            ("1.761019822e9", 1_761_019_822_000_000_000),
        ];
        for (number, nanos) in cases {
            assert_eq!(of_number(number), Some(UnixNanos(nanos)), "{number}");
        }
        for number in ["0", "-5", "x", "", ".5", "99999999999999999999"] {
            assert_eq!(of_number(number), None, "{number}");
        }
    }

    #[test]
    fn a_zone_is_that_of_times_that_carry_none() {
        let cases = [
            ("2018-06-27 06:39:57.993 x", "2018-06-27T04:39:57.993Z"),
            ("2018-01-27 06:39:57.993 x", "2018-01-27T05:39:57.993Z"),
            ("2018-06-27T06:39:57Z x", "2018-06-27T06:39:57Z"),
            ("2018-06-27 06:39:57 EST x", "2018-06-27T11:39:57Z"),
            ("Jun  3 09:23:38 host x", "2026-06-03T07:23:38Z"),
            ("1761019822.315 x", "2025-10-21T04:10:22.315Z"),
            // Put back at three, put forward at two.
            ("2018-10-28 02:30:00 x", "2018-10-28T00:30:00Z"),
            ("2018-10-28 03:00:00 x", "2018-10-28T02:00:00Z"),
            ("2018-03-25 02:30:00 x", "2018-03-25T01:30:00Z"),
            // The arrival is at 13:00 there.
            ("12:51:24.967 x", "2026-11-20T11:51:24.967Z"),
        ];
        let berlin = reader(Some("Europe/Berlin"), ARRIVAL).unwrap();
        for (line, time) in cases {
            assert_eq!(berlin.leading(line).map(|found| shown(found.time)).as_deref(), Some(time), "{line}");
        }
    }

    #[test]
    fn the_day_of_a_time_without_a_date_is_that_of_its_zone() {
        // 2026-11-20T23:30:00Z, when it is the 21st in Berlin and five in the morning in Calcutta.
        let arrival = UnixNanos(1_795_217_400_000_000_000);
        let cases = [
            (Some("Europe/Berlin"), "00:29:59.000 x", "2026-11-20T23:29:59Z"),
            (Some("Europe/Berlin"), "23:59:59.000 x", "2026-11-20T22:59:59Z"),
            (Some("+05:30"), "04:59:00.000 x", "2026-11-20T23:29:00Z"),
            (Some("-08"), "15:29:00.000 x", "2026-11-20T23:29:00Z"),
            (None, "23:29:00.000 x", "2026-11-20T23:29:00Z"),
        ];
        for (zone, line, time) in cases {
            let found = reader(zone, arrival).unwrap().leading(line).map(|found| shown(found.time));
            assert_eq!(found.as_deref(), Some(time), "{zone:?} {line}");
        }
    }

    #[test]
    fn a_zone_that_is_none_is_refused_with_what_would_be_one() {
        for name in ["Europe/Atlantis", "", "+1", "+99:99", "+01:00 x", "berlin", "CEST"] {
            let error = reader(Some(name), ARRIVAL).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")) && error.contains("Europe/Berlin"), "{error}");
        }
        for name in ["UTC", "utc", "europe/berlin", "+01:00", " 01:00", "-0330", "+14"] {
            assert!(reader(Some(name), ARRIVAL).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_text_is_a_time_only_as_a_whole() {
        let of_text = |text: &str, arrival| reader(None, arrival).unwrap().of_text(text);
        assert_eq!(of_text("2013-09-06T20:00:48.124817Z", ARRIVAL).map(shown).as_deref(), Some("2013-09-06T20:00:48.124817Z"));
        assert_eq!(of_text("2007-11-03 06:24:38.000", ARRIVAL).map(shown).as_deref(), Some("2007-11-03T06:24:38Z"));
        assert_eq!(of_text("2013-09-06T20:00:48Z and more", ARRIVAL), None);
    }
}
