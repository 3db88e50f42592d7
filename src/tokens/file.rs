//! `<data>/_needle/tokens.toml`: what is needed to recognise tokens, and no secret.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use needle_ingest::storage::model::Tenant;
use serde::{Deserialize, Serialize};

use super::Scope;
use super::secret::SecretHash;

/// In it the data folder keeps what is no record.
const OWN_FOLDER: &str = "_needle";
const FILE: &str = "tokens.toml";
/// Held while the file is written anew, so that two commands do not undo each other.
const LOCK: &str = "tokens.lock";
/// Of this file; a newer one is refused.
const VERSION: u32 = 1;
/// Only the owner reads and writes it.
const MODE: u32 = 0o600;
/// More tokens than anybody keeps apart; the file is read whole.
pub(crate) const TOKENS_MAX: usize = 10_000;

/// A token, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) scope: Scope,
    pub(crate) tenant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// BLAKE3 of the secret, in hexadecimal.
    pub(super) secret_blake3: String,
    pub(crate) created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Timestamp>,
}

impl Entry {
    /// A token that is good from now on.
    pub(crate) fn new(id: String, scope: Scope, tenant: &Tenant, hash: &SecretHash, created: Timestamp) -> Entry {
        let (tenant, secret_blake3) = (tenant.as_str().to_owned(), hash.hex());
        Entry { id, scope, tenant, name: None, secret_blake3, created, expires: None, revoked: None }
    }

    pub(super) fn hash(&self) -> Option<SecretHash> {
        SecretHash::from_hex(&self.secret_blake3)
    }

    /// Whether it lets anybody in.
    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// The file as a whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    #[serde(default)]
    tokens: Vec<Entry>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenFileError {
    #[error("cannot {action} {path}: {error}")]
    Io { action: &'static str, path: PathBuf, error: io::Error },
    #[error("{path} is not what `needle token` wrote ({reason}): restore it, or move it away and make new tokens")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path} is of version {version}, and this program knows {VERSION}: use the needle that wrote it, or a newer one")]
    Newer { path: PathBuf, version: u32 },
    #[error("{path} can be written by others than its owner (mode {mode:o}): whoever wrote to it could let anybody in; chmod 600 it")]
    Open { path: PathBuf, mode: u32 },
    #[error("there are {TOKENS_MAX} tokens already: no more are kept apart")]
    Full,
}

/// Which version of the file something was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// The file of one data folder; it need not exist.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile {
    folder: PathBuf,
}

impl TokenFile {
    /// That of the data folder `data`.
    pub(crate) fn of(data: &Path) -> TokenFile {
        TokenFile { folder: data.join(OWN_FOLDER) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// All tokens; none where there is no file.
    pub(crate) fn read(&self) -> Result<Vec<Entry>, TokenFileError> {
        Ok(self.read_stamped()?.map_or_else(Vec::new, |(tokens, _)| tokens))
    }

    /// The same, with what tells this version of the file from others.
    pub(super) fn read_stamped(&self) -> Result<Option<(Vec<Entry>, Stamp)>, TokenFileError> {
        let path = self.path();
        let failed = |action, error| TokenFileError::Io { action, path: path.clone(), error };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", error)),
        };
        let metadata = file.metadata().map_err(|error| failed("read", error))?;
        if metadata.mode() & 0o022 != 0 {
            return Err(TokenFileError::Open { path, mode: metadata.mode() & 0o7777 });
        }
        let text = io::read_to_string(file).map_err(|error| failed("read", error))?;
        let version = toml::from_str::<toml::Table>(&text).ok().and_then(|table| table.get("version")?.as_integer());
        if let Some(version) = version.and_then(|version| u32::try_from(version).ok()).filter(|version| *version > VERSION) {
            return Err(TokenFileError::Newer { path, version });
        }
        let unreadable = |reason: String| TokenFileError::Unreadable { path: path.clone(), reason };
        let contents: Contents = toml::from_str(&text).map_err(|error| unreadable(error.message().replace('\n', " ")))?;
        for entry in &contents.tokens {
            if entry.hash().is_none() || Tenant::new(&entry.tenant).is_err() {
                return Err(unreadable(format!("the token {} has no hash or no tenant", entry.id)));
            }
        }
        Ok(Some((contents.tokens, stamp(&metadata))))
    }

    /// Which version of the file is there now; none where there is no file.
    pub(super) fn stamp(&self) -> io::Result<Option<Stamp>> {
        match fs::metadata(self.path()) {
            Ok(metadata) => Ok(Some(stamp(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes the tokens: all at once, or not at all.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> T) -> Result<T, TokenFileError> {
        let failed = |action, path: &Path, error| TokenFileError::Io { action, path: path.to_owned(), error };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| failed("create the folder", &self.folder, error))?;
        let lock_path = self.folder.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(&lock_path);
        let lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(|error| failed("lock", &lock_path, error))?;
        let mut tokens = self.read()?;
        let outcome = change(&mut tokens);
        if tokens.len() > TOKENS_MAX {
            return Err(TokenFileError::Full);
        }
        self.write(&Contents { version: VERSION, tokens }).map_err(|error| failed("write", &self.path(), error))?;
        drop(lock);
        Ok(outcome)
    }

    fn write(&self, contents: &Contents) -> io::Result<()> {
        let text = toml::to_string(contents).map_err(io::Error::other)?;
        let text = format!("# Written by `needle token`; holds no secrets, only their hashes.\n{text}");
        let temporary = self.folder.join(format!("{FILE}.new"));
        // Left by a command that was killed; the lock is ours.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(MODE).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        // Made by an administrator, it still has to be read by the user that the server runs as.
        let owner = fs::metadata(&self.folder)?;
        if file.metadata()?.uid() != owner.uid() {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.sync_all()?;
        fs::rename(&temporary, self.path())?;
        File::open(&self.folder)?.sync_all()
    }
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    Stamp { inode: metadata.ino(), bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry {
        Entry::new(id.to_owned(), Scope::Read, &Tenant::default(), &SecretHash::of(id), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn tokens_are_kept_by_hash_in_a_file_of_the_owners_own() {
        let data = tempfile::tempdir().unwrap();
        let file = TokenFile::of(data.path());
        assert_eq!(file.read().unwrap(), []);
        file.change(|tokens| tokens.push(Entry { expires: Some(Timestamp::MAX), name: Some("ci".to_owned()), ..entry("aaaaaaaa") }))
            .unwrap();
        let first = file.stamp().unwrap();
        file.change(|tokens| tokens.push(entry("bbbbbbbb"))).unwrap();
        assert_ne!(first, file.stamp().unwrap());
        assert_eq!(file.read().unwrap().iter().map(|entry| &*entry.id).collect::<Vec<_>>(), ["aaaaaaaa", "bbbbbbbb"]);
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        let left: Vec<_> = fs::read_dir(data.path().join(OWN_FOLDER)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.len() == 2 && !left.contains(&"tokens.toml.new".into()), "{left:?}");
    }

    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let data = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = TokenFile::of(data.path());
                scope.spawn(move || {
                    for n in 0..10 {
                        file.change(|tokens| tokens.push(entry(&format!("{thread}-{n}")))).unwrap();
                    }
                });
            }
        });
        assert_eq!(TokenFile::of(data.path()).read().unwrap().len(), 80);
    }

    #[test]
    fn what_cannot_be_trusted_is_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        let file = TokenFile::of(data.path());
        file.change(|tokens| tokens.push(entry("aaaaaaaa"))).unwrap();
        let good = fs::read_to_string(file.path()).unwrap();
        for (text, says) in [
            (good.replace("version = 1", "version = 2"), "is of version 2"),
            (good.replace("secret_blake3 = \"", "secret_blake3 = \"z"), "has no hash"),
            (good.replace("default", "../default"), "no tenant"),
            (good.replace("scope = \"read\"", "scope = \"root\""), "is not what `needle token` wrote"),
            (good[..good.len() / 2].to_owned(), "is not what `needle token` wrote"),
            (String::new(), "is not what `needle token` wrote"),
        ] {
            fs::write(file.path(), text).unwrap();
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        fs::write(file.path(), good).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(file.read().unwrap_err().to_string().contains("chmod 600"));
    }
}
