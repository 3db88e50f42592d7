//! From a text to its shape, in one pass.

use super::{MASKS, Mask};

/// Tokens of a text that are looked at; what follows is left out, and the shape ends with `…`.
const TOKENS_MAX: usize = 32;
/// Bytes of a shape, about.
const SHAPE_BYTES_MAX: usize = 2_048;
/// What is longer, without a blank, is looked at as a whole.
const CHUNK_BYTES_MAX: usize = 512;
/// A longer run of letters and digits is no word.
const SEGMENT_BYTES_MAX: usize = 64;
/// So many equal characters that are neither letters nor digits are as good as more.
const RUN_MAX: usize = 3;
/// So many hexadecimal digits that are neither all letters nor all digits are a number, not a word.
const HEX_BYTES_MIN: usize = 6;

/// Writes the shape of a text.
pub(crate) fn mask(text: &str, shape: &mut String) {
    shape.clear();
    let mut masker = Masker { shape };
    let mut tokens = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let length = chunk_length(rest);
        let (chunk, after) = rest.split_at(length);
        tokens += usize::from(length > 0);
        if tokens > TOKENS_MAX || masker.shape.len() > SHAPE_BYTES_MAX {
            masker.shape.push('…');
            return;
        }
        let begins = masker.shape.len();
        masker.chunk(chunk);
        masker.shorten_list(begins);
        // It is ASCII, as is everything that ends a chunk.
        if let Some(separator) = after.bytes().next() {
            masker.separator(separator);
        }
        rest = after.get(1..).unwrap_or("");
    }
    let length = masker.shape.trim_end_matches(' ').len();
    masker.shape.truncate(length);
}

/// How long the chunk is that a text begins with. What is asked of a path belongs to it.
fn chunk_length(text: &str) -> usize {
    let length = text.bytes().position(ends_chunk).unwrap_or(text.len());
    let chunk = &text[..length];
    if text[length..].starts_with('=') && chunk.contains('?') && chunk.contains('/') {
        return text.bytes().position(|byte| byte <= b' ' || b"\"'`<>)]}".contains(&byte)).unwrap_or(text.len());
    }
    length
}

/// Whether no number, id or path goes on behind a byte.
pub(super) fn ends_chunk(byte: u8) -> bool {
    ENDS_CHUNK[byte as usize]
}

const ENDS_CHUNK: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < ends.len() {
        ends[byte] = byte <= b' ' as usize || byte == 0x7f;
        byte += 1;
    }
    let punctuation = b"\"'`()[]{}<>,;|=";
    let mut at = 0;
    while at < punctuation.len() {
        ends[punctuation[at] as usize] = true;
        at += 1;
    }
    let mut at = 0;
    while at < MASKS.len() {
        ends[MASKS[at].1 as usize] = false;
        at += 1;
    }
    ends
};

struct Masker<'s> {
    shape: &'s mut String,
}

impl Masker<'_> {
    fn separator(&mut self, byte: u8) {
        if byte > b' ' && byte < 0x7f {
            self.punctuation(char::from(byte));
        } else if !self.shape.is_empty() && !self.shape.ends_with(' ') {
            self.shape.push(' ');
        }
    }

    fn punctuation(&mut self, character: char) {
        let run = self.shape.chars().rev().take(RUN_MAX).filter(|before| *before == character).count();
        if run < RUN_MAX {
            self.shape.push(character);
        }
    }

    fn mask(&mut self, mask: Mask) {
        self.shape.push(mask.character());
    }

    /// Of neighbours in a list that are masked in one way, one is as good as all: lists are of any length. A date and a time
    /// of day are one time.
    fn shorten_list(&mut self, begins: usize) {
        let (before, last) = self.shape.split_at(begins);
        // Control characters are masks.
        if !matches!(last.as_bytes(), [mask] if *mask < b' ') {
            return;
        }
        let listed = before.trim_end_matches([',', ';', ' ', '\'', '"']);
        let between = &before[listed.len()..];
        let is_one = between.contains([',', ';']) || (between == " " && last.starts_with(Mask::Time.character()));
        if is_one && listed.ends_with(last) {
            self.shape.truncate(listed.len());
        }
    }

    /// What stands between two separators.
    fn chunk(&mut self, chunk: &str) {
        if chunk.len() <= SEGMENT_BYTES_MAX && chunk.bytes().all(is_letter) {
            return self.shape.push_str(chunk);
        }
        if chunk.len() > CHUNK_BYTES_MAX {
            return self.mask(if chunk.starts_with('/') { Mask::Path } else { Mask::Any });
        }
        let Some(first) = chunk.bytes().position(|byte| is_word(byte) || b"/.+-_~\\".contains(&byte)) else {
            return chunk.bytes().for_each(|byte| self.raw(byte));
        };
        let last = chunk.bytes().rposition(|byte| is_word(byte) || byte == b'/').unwrap_or(first).max(first);
        chunk[..first].bytes().for_each(|byte| self.raw(byte));
        self.core(&chunk[first..=last]);
        chunk[last + 1..].bytes().for_each(|byte| self.raw(byte));
    }

    /// Punctuation; characters that stand for masks were never meant by a text.
    fn raw(&mut self, byte: u8) {
        if byte < b' ' { self.separator(b' ') } else { self.punctuation(char::from(byte)) }
    }

    /// A chunk without the punctuation around it.
    fn core(&mut self, text: &str) {
        if text.contains("://") {
            self.mask(Mask::Url);
        } else if is_hardware_address(text) {
            self.mask(Mask::Hex);
        } else if is_time(text) {
            self.mask(Mask::Time);
        } else if is_ip6(text) {
            self.mask(Mask::Ip);
        } else if text.contains(':') {
            for (at, part) in text.split(':').enumerate() {
                if at > 0 {
                    self.punctuation(':');
                }
                self.part(part);
            }
        } else {
            self.part(text);
        }
    }

    /// A chunk without colons.
    fn part(&mut self, text: &str) {
        match whole(text) {
            Some(mask) => self.mask(mask),
            None => self.segments(text),
        }
    }

    /// Runs of letters and digits, and what joins them. Several of one kind with the same between them are as good as one.
    fn segments(&mut self, text: &str) {
        let mut rest = text;
        let mut before: Option<(Mask, usize)> = None;
        while !rest.is_empty() {
            let joined = rest.bytes().position(is_word).unwrap_or(rest.len());
            let (joint, from_word) = rest.split_at(joined);
            let joint_begins = self.shape.len();
            joint.bytes().for_each(|byte| self.raw(byte));
            let length = segment_length(from_word);
            let (segment, after) = from_word.split_at(length);
            let kind = segment_mask(segment);
            match (kind, before) {
                (Some(mask), Some((same, ends))) if mask == same && joint_begins == ends => self.shape.truncate(ends),
                (Some(mask), _) => self.mask(mask),
                (None, _) => self.word(segment),
            }
            before = kind.map(|mask| (mask, self.shape.len()));
            rest = after;
        }
    }

    /// Letters, with digits in one place at most.
    fn word(&mut self, segment: &str) {
        let Some(first) = segment.bytes().position(|byte| byte.is_ascii_digit()) else { return self.shape.push_str(segment) };
        let digits = segment[first..].bytes().take_while(u8::is_ascii_digit).count();
        self.shape.push_str(&segment[..first]);
        self.mask(Mask::Number);
        self.shape.push_str(&segment[first + digits..]);
    }
}

/// Letters of any script.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

fn is_word(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit()
}

/// The mask of a part that is one thing as a whole.
fn whole(text: &str) -> Option<Mask> {
    if is_ip4(text) {
        Some(Mask::Ip)
    } else if is_number(text) {
        Some(Mask::Number)
    } else if is_duration(text) {
        Some(Mask::Duration)
    } else if is_path(text) {
        Some(Mask::Path)
    } else {
        None
    }
}

/// How long the segment is that a text begins with: a UUID is one.
fn segment_length(text: &str) -> usize {
    if is_uuid(text) { 36 } else { text.bytes().position(|byte| !is_word(byte)).unwrap_or(text.len()) }
}

/// The mask of a run of letters and digits that is no word.
fn segment_mask(segment: &str) -> Option<Mask> {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if segment.len() > SEGMENT_BYTES_MAX {
        return Some(Mask::Any);
    }
    match segment.len() - digits {
        _ if digits == 0 => None,
        0 => Some(Mask::Number),
        4 if segment.len() == 36 => Some(Mask::Uuid),
        _ if is_uuid(segment) => Some(Mask::Uuid),
        _ if segment.len() > 2 && segment.starts_with("0x") && is_hex(&segment[2..]) => Some(Mask::Hex),
        _ if segment.len() >= HEX_BYTES_MIN && is_hex(segment) => Some(Mask::Hex),
        _ => (runs_of_digits(segment) > 1).then_some(Mask::Any),
    }
}

fn runs_of_digits(text: &str) -> usize {
    text.as_bytes().chunk_by(|one, other| one.is_ascii_digit() == other.is_ascii_digit()).filter(|run| run[0].is_ascii_digit()).count()
}

/// Whether a text begins with a UUID.
fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let fits = |(at, byte): (usize, &u8)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    bytes.len() >= 36 && bytes[..36].iter().enumerate().all(fits) && bytes.get(36).is_none_or(|byte| !is_word(*byte))
}

/// `12`, `-1.5`, `1.2.3`, `6.02e23`.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = mantissa.strip_prefix('.').unwrap_or(mantissa);
    parts.split('.').all(is_digits) && is_digits(exponent)
}

/// `12ms`, `1.5s`, `1h30m`.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 14] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "sec", "secs", "min", "mins", "msec"];
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    while !rest.is_empty() {
        let number = rest.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(rest.len());
        let (digits, from_unit) = rest.split_at(number);
        let unit = from_unit.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(from_unit.len());
        if !digits.starts_with(|c: char| c.is_ascii_digit()) || !UNITS.contains(&&from_unit[..unit]) {
            return false;
        }
        rest = &from_unit[unit..];
    }
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// `/var/log`, `./a`, `~/a`, `a/b/c`, `\\host\share`.
fn is_path(text: &str) -> bool {
    let begins = ["/", "./", "../", "~/", "\\"].iter().any(|start| text.starts_with(start));
    let has_name = || text.bytes().any(is_word);
    (begins && has_name()) || text.bytes().filter(|byte| matches!(byte, b'/' | b'\\')).count() > 1
}

/// Four numbers up to 255, perhaps with the length of a prefix.
fn is_ip4(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "0"));
    address.split('.').count() == 4 && address.split('.').all(is_octet) && is_octet(prefix)
}

fn is_octet(text: &str) -> bool {
    text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u8>().is_ok()
}

fn is_ip6(text: &str) -> bool {
    let address = text.split_once(['/', '%']).map_or(text, |(address, _)| address);
    address.bytes().filter(|byte| *byte == b':').count() > 1 && address.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Six pairs of hexadecimal digits.
fn is_hardware_address(text: &str) -> bool {
    text.len() == 17 && text.split(':').count() == 6 && text.split(':').all(|pair| pair.len() == 2 && u8::from_str_radix(pair, 16).is_ok())
}

/// A date or a time of day, or both in one: `2026-11-20T14:00:00Z`, `14:00:00.123`, `20/Nov/2026:14:00:00`.
fn is_time(text: &str) -> bool {
    let starts = |shape: &str| {
        text.len() >= shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'9' => byte.is_ascii_digit(),
                b'a' => byte.is_ascii_alphabetic(),
                b'-' => matches!(byte, b'-' | b'/'),
                _ => byte == wanted,
            })
    };
    let of_clock =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'+' | b'-' | b'T' | b'Z' | b'_'));
    let ends = |length: usize| text.get(length..).is_some_and(of_clock);
    if starts("9999-99-99") || starts("99-99-9999") {
        return ends(10);
    }
    (starts("99:99") && ends(5)) || (starts("9:99:99") && ends(7)) || (starts("99-aaa-9999") && ends(11))
}

#[cfg(test)]
mod tests {
    use super::super::readable;
    use super::*;

    fn shape(text: &str) -> String {
        let mut shape = String::new();
        mask(text, &mut shape);
        readable(&shape)
    }

    #[test]
    fn what_differs_from_record_to_record_is_masked_and_words_stay() {
        for (text, expected) in [
            ("user 42 logged in from 10.0.0.1:5123", "user <num> logged in from <ip>:<num>"),
            ("[req-7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e - - -] done.", "[req-<uuid> - - -] done."),
            ("GET /cart/42?x=1 HTTP/1.1\" 200 took 12.5ms", "GET <path> HTTP/<num>\" <num> took <duration>"),
            ("commit 3fa9c1e7b2 at 0x7f40a9ff5d90", "commit <hex> at <hex>"),
            ("2026-11-20 14:00:00,123 and 20/Nov/2026:14:00:00 +0000", "<time>,<num> and <time> <num>"),
            ("2026-11-20T14:00:00.123456Z, 14:00 or 9:05:01", "<time> or <time>"),
            ("ports [1, 2, 3], users ['a1b2c3', 'd4e5f6'], 1 2", "ports [<num>], users ['<hex>'], <num> <num>"),
            ("see <https://example.org/a?b=c&d=e>, or x=y", "see <<url>>, or x=y"),
            ("eth0 node-12 OAuth2Session x7k2p v2.1.7", "eth<num> node-<num> OAuth<num>Session <*> v<num>.<num>"),
            ("ts-user-service-687d654649-lrcwv", "ts-user-service-<hex>-lrcwv"),
            ("fe80::1 and 2001:db8::1/64 from 52:54:00:12:34:56", "<ip> and <ip> from <hex>"),
            ("std::io::Error: No such file (os error 2)", "std::io::Error: No such file (os error <num>)"),
            ("wsgi.py:612 /usr/lib/python2.7/wsgi.py:883", "wsgi.py:<num> <path>:<num>"),
            ("-5 +1.5e-7 50% 1h30m 5min", "<num> <num> <num>% <duration> <duration>"),
            ("a  b\t\r\n c", "a b c"),
            ("=========== ----- ...", "=== --- ..."),
            ("größe 5 straße", "größe <num> straße"),
            ("", ""),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_cannot_pretend_to_be_masked() {
        assert_eq!(shape("a\u{1}b \u{f}7\u{3}"), "a b <num>");
    }

    #[test]
    fn long_texts_have_short_shapes() {
        let words = shape(&"word ".repeat(1_000));
        assert_eq!((words.matches("word").count(), words.ends_with('…')), (TOKENS_MAX, true));
        assert!(shape(&"x".repeat(1 << 20)).len() < 10);
        assert!(shape(&"-=".repeat(1 << 20)).len() <= SHAPE_BYTES_MAX + 10);
        assert_eq!(shape(&"a.".repeat(1 << 20)), "<*>");
    }

    proptest::proptest! {
        #[test]
        fn every_text_has_a_shape_of_bounded_length(text in "\\PC{0,200}|[ -~\\x00-\\x1f]{0,200}|[0-9a-f:./ -]{0,60}") {
            let mut shape = String::new();
            mask(&text, &mut shape);
            proptest::prop_assert!(shape.len() <= text.len() + 4);
        }
    }
}
