//! What a token looks like: `ndl_<scope>_<id>_<secret>`.
//!
//! The secret is 32 bytes of the operating system's randomness, so that nobody guesses it and a plain hash keeps it; behind it
//! stands a checksum of the whole, by which a scanner tells a token that leaked from text that looks like one, and the server a
//! token that was not copied whole from one that it does not know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use subtle::ConstantTimeEq as _;

use super::Scope;

/// How every token begins.
const PREFIX: &str = "ndl";
const SECRET_BYTES: usize = 32;
/// The same in base64url.
const SECRET_CHARS: usize = 43;
/// Of the checksum, 4 bytes.
const CHECK_CHARS: usize = 6;
/// Letters of an id, of which each says 5 bits.
const ID_ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ID_CHARS: usize = 8;

/// A whole token, as it is shown once. It is not printed by accident: it has no `Debug` that shows it.
pub(crate) struct TokenText(String);

impl TokenText {
    /// A new token and its id.
    pub(crate) fn generate(scope: Scope) -> Result<(TokenText, String), String> {
        let id_bytes: [u8; ID_CHARS] = random()?;
        let id: String = id_bytes.iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte % 32)])).collect();
        let secret: [u8; SECRET_BYTES] = random()?;
        let begin = format!("{PREFIX}_{scope}_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
        let check = checksum(&begin);
        Ok((TokenText(begin + &check), id))
    }

    /// To be shown to whoever made it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenText(..)")
    }
}

/// 32 bytes of the operating system's randomness, in base64url.
pub(crate) fn random_text() -> Result<String, String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], String> {
    let mut bytes = [0; BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| format!("the operating system gives no randomness: {error}"))?;
    Ok(bytes)
}

fn checksum(begin: &str) -> String {
    URL_SAFE_NO_PAD.encode(crc32fast::hash(begin.as_bytes()).to_be_bytes())
}

/// The hash of a secret, which is all that is kept of it. A secret with 256 random bits needs no slow one.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of what stands behind the id.
    pub(crate) fn of(secret: &str) -> SecretHash {
        SecretHash(*blake3::hash(secret.as_bytes()).as_bytes())
    }

    /// Compares without telling by time how much is equal.
    pub(crate) fn is(&self, other: &SecretHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// For the file.
    pub(crate) fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// From the file.
    pub(crate) fn from_hex(text: &str) -> Option<SecretHash> {
        blake3::Hash::from_hex(text).ok().map(|hash| SecretHash(*hash.as_bytes()))
    }
}

/// A token that somebody shows, taken apart. Whether it is known is another question.
pub(crate) struct Presented {
    pub(crate) id: String,
    pub(crate) hash: SecretHash,
}

impl Presented {
    /// None for text that was never a token of ours, or not copied whole.
    pub(crate) fn read(text: &str) -> Option<Presented> {
        let mut parts = text.splitn(4, '_');
        let (prefix, scope, id, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let well_formed = prefix == PREFIX
            && scope.parse::<Scope>().is_ok()
            && id.len() == ID_CHARS
            && id.bytes().all(|byte| ID_ALPHABET.contains(&byte))
            && secret.is_ascii()
            && secret.len() == SECRET_CHARS + CHECK_CHARS;
        if !well_formed {
            return None;
        }
        let (begin, check) = text.split_at(text.len() - CHECK_CHARS);
        (checksum(begin) == check).then(|| Presented { id: id.to_owned(), hash: SecretHash::of(&secret[..SECRET_CHARS]) })
    }
}

/// The id in a token, or the text if it is an id by itself.
pub(crate) fn id_in(text: &str) -> Option<String> {
    let is_id = text.len() == ID_CHARS && text.bytes().all(|byte| ID_ALPHABET.contains(&byte));
    if is_id { Some(text.to_owned()) } else { Presented::read(text).map(|presented| presented.id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_no_two_are_alike() {
        let mut seen = std::collections::HashSet::new();
        for scope in Scope::ALL {
            for _ in 0..50 {
                let (token, id) = TokenText::generate(scope).unwrap();
                let text = token.reveal();
                assert!(text.starts_with(&format!("ndl_{scope}_{id}_")) && seen.insert(text.to_owned()), "{text}");
                let presented = Presented::read(text).unwrap();
                assert_eq!((presented.id.as_str(), id_in(text).as_deref()), (id.as_str(), Some(id.as_str())));
                let again = SecretHash::from_hex(&presented.hash.hex()).unwrap();
                assert!(again.is(&presented.hash));
            }
        }
    }

    #[test]
    fn a_scanner_finds_it_by_its_form() {
        let form = regex::Regex::new(r"\bndl_(ingest|read|admin)_[a-z2-7]{8}_[A-Za-z0-9_-]{49}").unwrap();
        for scope in Scope::ALL {
            let (token, _) = TokenText::generate(scope).unwrap();
            let line = format!("export NEEDLE_TOKEN={} # mine", token.reveal());
            assert_eq!(form.find(&line).map(|found| found.as_str()), Some(token.reveal()));
        }
    }

    #[test]
    fn what_was_not_copied_whole_is_no_token() {
        let (token, _) = TokenText::generate(Scope::Read).unwrap();
        let text = token.reveal();
        for cut in 0..text.len() {
            assert!(Presented::read(&text[..cut]).is_none(), "{cut}");
        }
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            assert!(Presented::read(std::str::from_utf8(&changed).unwrap()).is_none(), "{at}");
        }
        for other in ["", "ndl", "ndl_read_x_y", &text.to_uppercase(), &format!("{text}\u{e4}"), &format!(" {text}")] {
            assert!(Presented::read(other).is_none(), "{other}");
        }
        assert_eq!(format!("{token:?}"), "TokenText(..)");
    }
}
