//! Reads a Rust file as tokens with their lines, so that comments, strings and layout cannot fool a rule.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A text file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// Relative to the repository, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A word or a mark of a Rust file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// An identifier, a literal, `::` in one piece, else one mark or bracket.
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Whether it stands in code that only tests see.
    pub(crate) in_test: bool,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Lines with code on them, from `fn` to the closing brace.
    pub(crate) code_lines: usize,
    /// First and last token.
    pub(crate) tokens: (usize, usize),
}

/// A Rust file, read.
#[derive(Clone, Debug)]
pub(crate) struct RustFile {
    pub(crate) path: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) functions: Vec<Function>,
}

impl RustFile {
    /// Reads the text of the file at `path`.
    pub(crate) fn read(path: &str, text: &str) -> Result<RustFile, String> {
        let stream: TokenStream = text.parse().map_err(|error| format!("{path}: is not Rust: {error}"))?;
        let mut reader = Reader { tokens: Vec::new(), functions: Vec::new() };
        reader.read(stream, is_test_file(path));
        reader.functions.sort_by_key(|function| function.line);
        Ok(RustFile { path: path.to_owned(), tokens: reader.tokens, functions: reader.functions })
    }

    /// Lines that hold code and are not for tests.
    pub(crate) fn code_lines(&self) -> usize {
        let whole_file_is_test = is_test_file(&self.path);
        lines(self.tokens.iter().filter(|token| whole_file_is_test || !token.in_test))
    }

    /// Where `path` (`std::fs::rename`, also written `fs::rename` after a `use`) is named.
    pub(crate) fn occurrences<'file>(&'file self, path: &'file [&'file str]) -> impl Iterator<Item = (usize, &'file Token)> {
        (0..self.tokens.len()).filter(move |&at| self.names(at, path)).map(|at| (at, &self.tokens[at]))
    }

    /// Where a path begins with the crate `name`: `name::...`, `use name;`, `extern crate name`.
    pub(crate) fn names_crate(&self, name: &str) -> Option<&Token> {
        (0..self.tokens.len()).find(|&at| self.is_crate_name(at, name)).map(|at| &self.tokens[at])
    }

    fn is_crate_name(&self, at: usize, name: &str) -> bool {
        let text = |offset: isize| at.checked_add_signed(offset).and_then(|at| self.tokens.get(at)).map_or("", |token| token.text.as_str());
        if self.tokens[at].text != name || text(-1) == "." {
            return false;
        }
        let is_first = text(-1) != "::" || !is_word(text(-2));
        is_first && (text(1) == "::" || text(-1) == "use" || text(-1) == "crate")
    }

    fn names(&self, at: usize, path: &[&str]) -> bool {
        path.iter().enumerate().all(|(index, segment)| {
            let here = at + 2 * index;
            self.tokens.get(here).is_some_and(|token| token.text == *segment)
                && (index + 1 == path.len() || self.tokens.get(here + 1).is_some_and(|token| token.text == "::"))
        })
    }

    /// The innermost function around a token.
    pub(crate) fn function_around(&self, at: usize) -> Option<&Function> {
        self.functions
            .iter()
            .filter(|function| (function.tokens.0..=function.tokens.1).contains(&at))
            .max_by_key(|function| function.tokens.0)
    }
}

/// Files that exist for tests only.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn is_word(text: &str) -> bool {
    text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
}

fn lines<'token>(tokens: impl Iterator<Item = &'token Token>) -> usize {
    let mut lines: Vec<usize> = tokens.map(|token| token.line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.len()
}

struct Reader {
    tokens: Vec<Token>,
    functions: Vec<Function>,
}

impl Reader {
    fn read(&mut self, stream: TokenStream, in_test: bool) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        // Set by `#[cfg(test)]` and `#[test]`, until the item behind them ends.
        let mut item_is_test = false;
        let mut function: Option<(String, usize, usize)> = None;
        for (index, tree) in trees.iter().enumerate() {
            if is_doc_comment(&trees, index) {
                continue;
            }
            item_is_test |= is_test_attribute(&trees, index);
            let token_index = self.tokens.len();
            match tree {
                TokenTree::Group(group) => {
                    self.push(open(group.delimiter()), group.span_open().start().line, in_test || item_is_test);
                    self.read(group.stream(), in_test || item_is_test);
                    self.push(close(group.delimiter()), group.span_close().start().line, in_test || item_is_test);
                    if group.delimiter() == Delimiter::Brace {
                        self.end_function(function.take());
                        item_is_test = false;
                    }
                }
                TokenTree::Punct(mark) => {
                    self.push_mark(mark, in_test || item_is_test);
                    if mark.as_char() == ';' {
                        (item_is_test, function) = (false, None);
                    }
                }
                TokenTree::Ident(word) => {
                    if *word == "fn"
                        && let Some(TokenTree::Ident(name)) = trees.get(index + 1)
                    {
                        function = Some((name.to_string(), word.span().start().line, token_index));
                    }
                    self.push(&word.to_string(), word.span().start().line, in_test || item_is_test);
                }
                TokenTree::Literal(literal) => self.push(&literal.to_string(), literal.span().start().line, in_test || item_is_test),
            }
        }
    }

    /// `::` is one token, so that paths are read with one step a segment.
    fn push_mark(&mut self, mark: &proc_macro2::Punct, in_test: bool) {
        match self.tokens.last_mut() {
            Some(last) if mark.as_char() == ':' && last.text == ": " => last.text = "::".to_owned(),
            _ if mark.as_char() == ':' && mark.spacing() == Spacing::Joint => self.push(": ", mark.span().start().line, in_test),
            _ => self.push(&mark.as_char().to_string(), mark.span().start().line, in_test),
        }
    }

    fn push(&mut self, text: &str, line: usize, in_test: bool) {
        self.tokens.push(Token { text: text.to_owned(), line, in_test });
    }

    fn end_function(&mut self, function: Option<(String, usize, usize)>) {
        let Some((name, line, first)) = function else { return };
        let code_lines = lines(self.tokens[first..].iter());
        self.functions.push(Function { name, line, code_lines, tokens: (first, self.tokens.len() - 1) });
    }
}

fn is_doc_comment(trees: &[TokenTree], at: usize) -> bool {
    let doc = |tree: Option<&TokenTree>| matches!(tree, Some(TokenTree::Group(group)) if first_word(&group.stream()) == "doc");
    let mark = |tree: &TokenTree, expected: char| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == expected);
    let behind_hash = at > 0 && (mark(&trees[at - 1], '#') || mark(&trees[at - 1], '!'));
    (mark(&trees[at], '#') && (doc(trees.get(at + 1)) || (trees.get(at + 1).is_some_and(|tree| mark(tree, '!')) && doc(trees.get(at + 2)))))
        || (mark(&trees[at], '!') && at > 0 && mark(&trees[at - 1], '#') && doc(trees.get(at + 1)))
        || (behind_hash && doc(trees.get(at)))
}

fn is_test_attribute(trees: &[TokenTree], at: usize) -> bool {
    let behind_hash = at > 0 && matches!(&trees[at - 1], TokenTree::Punct(mark) if mark.as_char() == '#');
    let TokenTree::Group(group) = &trees[at] else { return false };
    let attribute = group.stream().to_string().replace(' ', "");
    behind_hash
        && (attribute == "test"
            || attribute == "cfg(test)"
            || attribute.starts_with("cfg(all(test")
            || attribute.starts_with("tokio::test"))
}

fn first_word(stream: &TokenStream) -> String {
    stream.clone().into_iter().next().map_or_else(String::new, |tree| tree.to_string())
}

fn open(delimiter: Delimiter) -> &'static str {
    match delimiter {
        Delimiter::Parenthesis => "(",
        Delimiter::Brace => "{",
        Delimiter::Bracket => "[",
        Delimiter::None => "",
    }
}

fn close(delimiter: Delimiter) -> &'static str {
    match delimiter {
        Delimiter::Parenthesis => ")",
        Delimiter::Brace => "}",
        Delimiter::Bracket => "]",
        Delimiter::None => "",
    }
}

/// All text files of the repository, but not what is built, installed or downloaded.
pub(crate) fn texts(root: &Path) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry of a readable folder").path();
            if path.is_dir() {
                if !is_left_out(&path) {
                    folders.push(path);
                }
            } else if path.ends_with(".git") {
                // A linked worktree has a file of that name, with a path of this machine in it.
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                texts.push(Text { path: relative(root, &path), text });
            }
        }
    }
    texts.sort_by(|left, right| left.path.cmp(&right.path));
    texts
}

fn is_left_out(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let is_target = folder.join("CACHEDIR.TAG").exists();
    is_target || matches!(&*name, ".git" | "target" | "node_modules" | "dist")
}

fn relative(root: &Path, path: &Path) -> String {
    let relative: PathBuf = path.strip_prefix(root).unwrap_or(path).components().collect();
    relative.to_string_lossy().replace('\\', "/")
}
