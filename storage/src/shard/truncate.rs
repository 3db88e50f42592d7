//! Long words as terms: only their beginning is indexed, and a query for one looks for the same
//! beginning, so that the index still never misses a match.

use tantivy::tokenizer::{Token, TokenFilter, TokenStream, Tokenizer};

/// Terms of words are at most this long.
const WORD_BYTES_MAX: usize = 64;

/// The beginning of a word that is its term.
pub(super) fn truncated(word: &str) -> &str {
    &word[..word.floor_char_boundary(WORD_BYTES_MAX)]
}

/// Shortens tokens to [`truncated`].
#[derive(Clone)]
pub(super) struct TruncateLong;

impl TokenFilter for TruncateLong {
    type Tokenizer<T: Tokenizer> = Truncating<T>;

    fn transform<T: Tokenizer>(self, tokenizer: T) -> Truncating<T> {
        Truncating(tokenizer)
    }
}

#[derive(Clone)]
pub(super) struct Truncating<T>(T);

impl<T: Tokenizer> Tokenizer for Truncating<T> {
    type TokenStream<'a> = TruncatingStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        TruncatingStream(self.0.token_stream(text))
    }
}

pub(super) struct TruncatingStream<T>(T);

impl<T: TokenStream> TokenStream for TruncatingStream<T> {
    fn advance(&mut self) -> bool {
        let more = self.0.advance();
        if more {
            let token = self.0.token_mut();
            let length = truncated(&token.text).len();
            token.text.truncate(length);
        }
        more
    }

    fn token(&self) -> &Token {
        self.0.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.0.token_mut()
    }
}
