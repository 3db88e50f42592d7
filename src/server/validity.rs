//! When a certificate ends: the one thing that is read of it here.

use jiff::Timestamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `version`, which may be missing.
const CONTEXT_0: u8 = 0xa0;

/// The time of `notAfter` (RFC 5280, section 4.1); none for what is no certificate.
pub(super) fn end_of(certificate: &[u8]) -> Option<Timestamp> {
    let (tag, certificate, _) = element(certificate)?;
    let (tbs_tag, mut rest, _) = element(certificate)?;
    if (tag, tbs_tag) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    if rest.first() == Some(&CONTEXT_0) {
        rest = element(rest)?.2;
    }
    // serialNumber, signature, issuer
    for expected in [INTEGER, SEQUENCE, SEQUENCE] {
        let (tag, _, behind) = element(rest)?;
        if tag != expected {
            return None;
        }
        rest = behind;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Tag and contents of the first element, and what stands behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (contents, behind) = rest.split_at_checked(length)?;
    Some((tag, contents, behind))
}

/// `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` from then on.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, clock) = ([part(0, 4)?, part(4, 6)?, part(6, 8)?].join("-"), [part(8, 10)?, part(10, 12)?, part(12, 14)?].join(":"));
    format!("{date}T{clock}Z").parse().ok()
}
