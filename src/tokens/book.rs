//! The tokens that a running server knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use needle_ingest::storage::model::Tenant;
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use super::Scope;
use super::file::{Entry, Stamp, TokenFile, TokenFileError};
use super::secret::{Presented, SecretHash};

/// How often the file is looked at: a token that is revoked lets nobody in after this time.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Who asks, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose data.
    pub(crate) tenant: Tenant,
    pub(crate) scope: Scope,
    /// None for whoever is let in without a token.
    pub(crate) token: Option<String>,
    /// Cancelled when the token is revoked or expires: answers that are still being sent end.
    pub(crate) ended: CancellationToken,
}

impl Caller {
    /// Whoever comes while no token was ever made.
    fn anybody(ended: &CancellationToken) -> Caller {
        Caller { tenant: Tenant::default(), scope: Scope::Admin, token: None, ended: ended.clone() }
    }
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is no token, or not copied whole.
    Malformed,
    /// It was never made here, or its secret is another.
    Wrong,
    Revoked,
    Expired,
}

/// All tokens of the data folder, kept true to the file.
#[derive(Debug)]
pub(crate) struct TokenBook {
    file: TokenFile,
    known: RwLock<HashMap<String, Known>>,
    /// Which version of the file that is; none while there never was one.
    stamp: Mutex<Option<Stamp>>,
    /// Whether a token has to be shown. Once it has, it has until the server ends: a file that disappears opens nothing.
    demanded: AtomicBool,
    /// Cancelled when it has: whoever was let in without one is asked again.
    asked: CancellationToken,
    /// Whether the file cannot be read just now.
    broken: AtomicBool,
}

#[derive(Debug)]
struct Known {
    entry: Entry,
    tenant: Tenant,
    ended: CancellationToken,
}

impl TokenBook {
    /// The tokens of a data folder; a file that cannot be read is an error, and never no tokens.
    pub(crate) fn open(file: TokenFile) -> Result<TokenBook, TokenFileError> {
        let book = TokenBook {
            file,
            known: RwLock::default(),
            stamp: Mutex::default(),
            demanded: AtomicBool::new(false),
            asked: CancellationToken::new(),
            broken: AtomicBool::new(false),
        };
        book.read()?;
        Ok(book)
    }

    /// Whether requests have to show a token: once one was made for this folder.
    pub(crate) fn demands(&self) -> bool {
        self.demanded.load(Ordering::Acquire)
    }

    /// Whoever asks, while nobody has to show a token.
    pub(crate) fn anybody(&self) -> Option<Caller> {
        (!self.demands()).then(|| Caller::anybody(&self.asked))
    }

    /// Whether any token still lets somebody in.
    pub(crate) fn has_good(&self) -> bool {
        let now = Timestamp::now();
        self.known.read().values().any(|known| known.entry.is_good(now))
    }

    /// Takes in what commands changed, and ends what has expired. Says whether all is as it should be.
    pub(crate) fn look(&self) -> bool {
        let changed = self.file.stamp().map_or(true, |stamp| stamp != *self.stamp.lock());
        if changed && let Err(error) = self.read() {
            // Once, not four times a second.
            if !self.broken.swap(true, Ordering::Relaxed) {
                tracing::error!("tokens stay as they were: {error}");
            }
        }
        let now = Timestamp::now();
        for known in self.known.read().values().filter(|known| !known.entry.is_good(now)) {
            known.ended.cancel();
        }
        !self.broken.load(Ordering::Relaxed)
    }

    fn read(&self) -> Result<(), TokenFileError> {
        let read = self.file.read_stamped()?;
        let Some((entries, stamp)) = read else {
            if self.demands() && !self.broken.swap(true, Ordering::Relaxed) {
                tracing::error!("{} is gone: tokens stay as they were until the next start", self.file.path().display());
            }
            return Ok(());
        };
        let mut known = self.known.write();
        let mut before = std::mem::take(&mut *known);
        for entry in entries {
            let Ok(tenant) = Tenant::new(&entry.tenant) else { continue };
            // Who was let in by it stays in, unless it changed.
            let ended = match before.remove(&entry.id) {
                Some(same) if same.entry == entry => Some(same.ended),
                Some(other) => {
                    other.ended.cancel();
                    None
                }
                None => None,
            };
            known.insert(entry.id.clone(), Known { entry, tenant, ended: ended.unwrap_or_default() });
        }
        before.values().for_each(|gone| gone.ended.cancel());
        drop(known);
        *self.stamp.lock() = Some(stamp);
        self.broken.store(false, Ordering::Relaxed);
        self.demanded.store(true, Ordering::Release);
        self.asked.cancel();
        Ok(())
    }

    /// Who shows this token.
    pub(crate) fn caller(&self, text: &str) -> Result<Caller, Unknown> {
        let presented = Presented::read(text).ok_or(Unknown::Malformed)?;
        let known = self.known.read();
        let found = known.get(&presented.id);
        // Hashed and compared in either case, so that time does not tell which ids there are.
        let hash = found.and_then(|found| found.entry.hash()).unwrap_or_else(|| SecretHash::of(""));
        let is_same = hash.is(&presented.hash);
        let found = found.filter(|_| is_same).ok_or(Unknown::Wrong)?;
        found.caller(Timestamp::now())
    }

    /// Who was let in by the token with this id earlier.
    pub(crate) fn caller_again(&self, id: &str) -> Result<Caller, Unknown> {
        self.known.read().get(id).ok_or(Unknown::Wrong)?.caller(Timestamp::now())
    }
}

impl Known {
    fn caller(&self, now: Timestamp) -> Result<Caller, Unknown> {
        if self.entry.revoked.is_some() {
            return Err(Unknown::Revoked);
        }
        if !self.entry.is_good(now) {
            return Err(Unknown::Expired);
        }
        let (tenant, ended) = (self.tenant.clone(), self.ended.clone());
        Ok(Caller { tenant, scope: self.entry.scope, token: Some(self.entry.id.clone()), ended })
    }
}

#[cfg(test)]
mod tests {
    use super::super::TokenText;
    use super::*;

    struct Folder {
        _data: tempfile::TempDir,
        file: TokenFile,
    }

    impl Folder {
        fn new() -> Folder {
            let data = tempfile::tempdir().unwrap();
            Folder { file: TokenFile::of(data.path()), _data: data }
        }

        fn create(&self, scope: Scope, expires: Option<Timestamp>) -> TokenText {
            let (token, id) = TokenText::generate(scope).unwrap();
            let hash = Presented::read(token.reveal()).unwrap().hash;
            let entry = Entry::new(id, scope, &Tenant::new("acme").unwrap(), &hash, Timestamp::now());
            self.file.change(|tokens| tokens.push(Entry { expires, ..entry })).unwrap();
            token
        }

        fn book(&self) -> TokenBook {
            TokenBook::open(self.file.clone()).unwrap()
        }
    }

    #[test]
    fn a_known_token_says_who_asks() {
        let folder = Folder::new();
        let token = folder.create(Scope::Read, None);
        let caller = folder.book().caller(token.reveal()).unwrap();
        assert_eq!((caller.tenant.as_str(), caller.scope), ("acme", Scope::Read));
        let (other, _) = TokenText::generate(Scope::Read).unwrap();
        assert_eq!(folder.book().caller(other.reveal()).unwrap_err(), Unknown::Wrong);
        assert_eq!(folder.book().caller("hunter2").unwrap_err(), Unknown::Malformed);
        let expired = folder.create(Scope::Read, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(folder.book().caller(expired.reveal()).unwrap_err(), Unknown::Expired);
    }

    #[test]
    fn a_secret_of_another_token_does_not_open_this_one() {
        let folder = Folder::new();
        let (one, two) = (folder.create(Scope::Read, None), folder.create(Scope::Admin, None));
        let id = |token: &TokenText| Presented::read(token.reveal()).unwrap().id;
        let mixed = one.reveal().replace(&id(&one), &id(&two)).replace("_read_", "_admin_");
        // With a checksum that fits, as whoever forges it would make it.
        let begin = &mixed[..mixed.len() - 6];
        use base64::Engine as _;
        let check = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(crc32fast::hash(begin.as_bytes()).to_be_bytes());
        assert_eq!(folder.book().caller(&format!("{begin}{check}")).unwrap_err(), Unknown::Wrong);
        assert!(folder.book().caller(two.reveal()).is_ok());
    }

    #[test]
    fn a_look_takes_in_new_tokens_and_ends_revoked_ones() {
        let folder = Folder::new();
        let book = folder.book();
        assert!(!book.demands() && book.look());
        let anybody = book.anybody().unwrap();
        let (token, other) = (folder.create(Scope::Admin, None), folder.create(Scope::Ingest, None));
        assert!(book.look() && book.demands() && book.has_good());
        assert!(book.anybody().is_none() && anybody.ended.is_cancelled(), "who was let in without one is asked again");
        let (caller, bystander) = (book.caller(token.reveal()).unwrap(), book.caller(other.reveal()).unwrap());
        folder.file.change(|tokens| tokens[0].revoked = Some(Timestamp::now())).unwrap();
        assert!(book.look());
        assert!(caller.ended.is_cancelled() && !bystander.ended.is_cancelled());
        assert_eq!(book.caller(token.reveal()).unwrap_err(), Unknown::Revoked);
        assert_eq!(book.caller_again(caller.token.as_deref().unwrap()).unwrap_err(), Unknown::Revoked);
        folder.file.change(|tokens| tokens.clear()).unwrap();
        assert!(book.look() && bystander.ended.is_cancelled());
        assert!(book.demands() && !book.has_good(), "nobody is let in, rather than everybody");
    }

    #[test]
    fn a_file_that_is_gone_or_broken_opens_nothing() {
        let folder = Folder::new();
        let token = folder.create(Scope::Read, None);
        let book = folder.book();
        std::fs::write(folder.file.path(), "version = 1\n[[tokens]]\n").unwrap();
        assert!(!book.look() && book.demands() && book.caller(token.reveal()).is_ok());
        assert!(TokenBook::open(folder.file.clone()).is_err(), "no server starts with it");
        std::fs::remove_file(folder.file.path()).unwrap();
        assert!(!book.look() && book.demands() && book.caller(token.reveal()).is_ok());
        let second = folder.create(Scope::Read, None);
        assert!(book.look() && book.caller(second.reveal()).is_ok());
        assert_eq!(book.caller(token.reveal()).unwrap_err(), Unknown::Wrong);
    }
}
