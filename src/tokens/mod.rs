//! Tokens: what callers show to be let in.
//!
//! `secret` is what a token looks like, `file` where the data folder keeps what is needed to recognise one, `book` what a running
//! server knows of it.

mod book;
mod file;
mod secret;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use book::{Caller, LOOK_INTERVAL, TokenBook, Unknown};
pub(crate) use file::{Entry, TokenFile, TokenFileError};
pub(crate) use secret::{Presented, TokenText, id_in, random_text};

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Send records, and nothing else.
    Ingest,
    /// Ask questions, and nothing else.
    Read,
    /// Both, and delete, flush and merge.
    Admin,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Scope; 3] = [Scope::Ingest, Scope::Read, Scope::Admin];

    /// Whether a token of this scope may do what needs `needed`.
    pub(crate) fn allows(self, needed: Scope) -> bool {
        self == needed || self == Scope::Admin
    }

    /// Its name, in tokens and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = ();

    fn from_str(text: &str) -> Result<Scope, ()> {
        Scope::ALL.into_iter().find(|scope| scope.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_allows_itself_and_admin_allows_everything() {
        let allowed: Vec<(Scope, Scope)> =
            Scope::ALL.iter().flat_map(|has| Scope::ALL.map(|needed| (*has, needed))).filter(|(has, needed)| has.allows(*needed)).collect();
        use Scope::{Admin, Ingest, Read};
        assert_eq!(allowed, [(Ingest, Ingest), (Read, Read), (Admin, Ingest), (Admin, Read), (Admin, Admin)]);
    }
}
