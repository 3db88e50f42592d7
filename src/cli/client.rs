//! The API's client.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::arguments::{ServerArguments, TimeRange};
use super::exit::TimedOut;
use super::wire::{Count, Journey, SearchPage};

/// Records asked for at once.
const PAGE_RECORDS: usize = 1000;
/// How long a connection may take. Answers may take as long as `--timeout` says.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An address of more bytes cannot be sent, nor would the server read it: `http::Uri` holds no more.
const ADDRESS_BYTES_MAX: usize = 65_534;

/// Parameters of a request.
pub(crate) type Parameters = Vec<(&'static str, String)>;

/// A server.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
    deadline: Option<Instant>,
}

/// An answer: its status, its headers, and the body unread.
pub(crate) type Response = ureq::http::Response<ureq::Body>;

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorText,
}

/// `google.rpc.Status`, as OTLP routes answer.
#[derive(Deserialize)]
struct OtlpStatus {
    message: String,
}

#[derive(Deserialize)]
struct ErrorText {
    message: String,
    #[serde(default)]
    caret: Option<String>,
}

impl Client {
    /// A client of the server that the flags name.
    pub(crate) fn new(arguments: &ServerArguments) -> anyhow::Result<Client> {
        let url = arguments.url.trim_end_matches('/');
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("needle/", env!("CARGO_PKG_VERSION")));
        if url.starts_with("https://") {
            config = config.tls_config(super::trust::tls(arguments)?);
        }
        let config = config.build();
        let deadline = arguments.timeout.map(|timeout| Instant::now() + timeout);
        Ok(Client { agent: config.new_agent(), url, token: arguments.token.clone(), deadline })
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `GET path`, a question, parsed. `None` for 404. The server is told of `--timeout`, and stops its work by then as well.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, parameters: &[(&'static str, String)]) -> anyhow::Result<Option<T>> {
        let parameters: Parameters = parameters.iter().cloned().chain(self.timeout_parameter()?).collect();
        let response = self.open(path, &parameters, &[], None)?;
        if response.status() == ureq::http::StatusCode::NOT_FOUND {
            return match self.refusal(response) {
                (Some(_), _) => Ok(None),
                (None, error) => Err(error),
            };
        }
        self.parse(path, response).map(Some)
    }

    /// `GET path`, for the reader to consume; `silence_max` bounds the time without a single byte.
    pub(crate) fn open(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
        headers: &[(&str, String)],
        silence_max: Option<Duration>,
    ) -> anyhow::Result<Response> {
        let address = self.address(path, parameters)?;
        let mut request = self.agent.get(address).query_pairs(parameters.iter().map(|(name, value)| (*name, value.as_str())));
        for (name, value) in
            headers.iter().map(|(name, value)| (*name, value)).chain(self.bearer().as_ref().map(|value| ("authorization", value)))
        {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(self.remaining()?).timeout_per_read(silence_max).build();
        request.call().map_err(|error| self.explain(error))
    }

    /// `POST path` with a body.
    pub(crate) fn post(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
        headers: &[(&str, String)],
        body: &[u8],
    ) -> anyhow::Result<Response> {
        let address = self.address(path, parameters)?;
        let mut request = self.agent.post(address).query_pairs(parameters.iter().map(|(name, value)| (*name, value.as_str())));
        for (name, value) in
            headers.iter().map(|(name, value)| (*name, value)).chain(self.bearer().as_ref().map(|value| ("authorization", value)))
        {
            request = request.header(name, value);
        }
        request.config().timeout_global(self.remaining()?).build().send(body).map_err(|error| self.explain(error))
    }

    /// `DELETE path`, parsed.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str, parameters: &[(&'static str, String)]) -> anyhow::Result<T> {
        let address = self.address(path, parameters)?;
        let mut request = self.agent.delete(address).query_pairs(parameters.iter().map(|(name, value)| (*name, value.as_str())));
        if let Some(bearer) = self.bearer() {
            request = request.header("authorization", bearer);
        }
        let request = request.config().timeout_global(self.remaining()?).build();
        let response = request.call().map_err(|error| self.explain(error))?;
        self.parse(path, response)
    }

    /// The body of a good answer as JSON; the error that a bad one carries.
    pub(crate) fn parse<T: DeserializeOwned>(&self, path: &str, mut response: Response) -> anyhow::Result<T> {
        if !response.status().is_success() {
            return Err(self.refusal(response).1);
        }
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(|error| self.explain(error))?;
        serde_json::from_slice(&body)
            .with_context(|| format!("{}{path} answered something that is not needle's: is --url a needle server?", self.url))
    }

    /// What a refusal says, if it is needle's, and as an error.
    pub(crate) fn refusal(&self, mut response: Response) -> (Option<String>, anyhow::Error) {
        let status = response.status();
        if status == ureq::http::StatusCode::GATEWAY_TIMEOUT {
            return (None, TimedOut.into());
        }
        let body = response.body_mut().with_config().limit(1 << 20).lossy_utf8(true).read_to_string().unwrap_or_default();
        if let Ok(ErrorAnswer { error: ErrorText { message, caret } }) = serde_json::from_str(&body) {
            let text = caret.map_or(message.clone(), |caret| format!("{message}\n{caret}"));
            return (Some(text.clone()), anyhow!(text));
        }
        if let Ok(OtlpStatus { message }) = serde_json::from_str(&body)
            && !message.is_empty()
        {
            return (Some(message.clone()), anyhow!(message));
        }
        let start: String = body.trim().chars().take(200).collect();
        (None, anyhow!("{} answered {status}: {start}", self.url))
    }

    /// Where a request goes, if its parameters fit behind that.
    fn address(&self, path: &str, parameters: &[(&'static str, String)]) -> anyhow::Result<String> {
        let address = format!("{}{path}", self.url);
        // Any other byte is written as % and two digits.
        let as_it_is = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let written = |value: &String| value.bytes().map(|byte| if as_it_is(byte) { 1 } else { 3 }).sum::<usize>();
        let bytes = address.len() + parameters.iter().map(|(name, value)| name.len() + 2 + written(value)).sum::<usize>();
        match parameters.iter().max_by_key(|(_, value)| value.len()) {
            Some((name, value)) if bytes > ADDRESS_BYTES_MAX => Err(anyhow!(
                "`{name}` has {} bytes, too many for the address of a request, which takes {ADDRESS_BYTES_MAX}: make it shorter, or ask part by part",
                value.len()
            )),
            _ => Ok(address),
        }
    }

    fn bearer(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }

    /// What is left of `--timeout`.
    fn remaining(&self) -> anyhow::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// What is left of `--timeout`, for the server to stop as well.
    pub(crate) fn timeout_parameter(&self) -> anyhow::Result<Option<(&'static str, String)>> {
        // A server reads no fraction of a millisecond, and no time at all is refused.
        Ok(self.remaining()?.map(|left| ("timeout", format!("{}ms", left.as_millis().max(1)))))
    }

    /// Whether the time given is over.
    pub(crate) fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn explain(&self, error: ureq::Error) -> anyhow::Error {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Global) => TimedOut.into(),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut && self.is_overdue() => TimedOut.into(),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                anyhow!("{} refuses connections: start `needle serve` there, or name another address with --url or NEEDLE_URL", self.url)
            }
            ureq::Error::HostNotFound => anyhow!("{} has no such host: name another address with --url or NEEDLE_URL", self.url),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                anyhow!("{} is no address: give one like http://127.0.0.1:7117 with --url or NEEDLE_URL", self.url)
            }
            error if self.url.starts_with("https://") && error.to_string().contains("certificate") => anyhow!(
                "{} is not trusted ({error}): give the certificate of the authority that vouches for it with --ca-file or NEEDLE_CA_FILE, and \
                 a client's own, where the server wants one, with --client-cert and --client-key",
                self.url
            ),
            error => anyhow::Error::new(error).context(format!("no answer from {}", self.url)),
        }
    }
}

/// A search, asked page by page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    /// In the query language.
    pub(crate) query: String,
    /// When.
    pub(crate) range: TimeRange,
    /// Whether the newest come first.
    pub(crate) newest_first: bool,
}

impl Search {
    fn parameters(&self) -> Parameters {
        let mut parameters = vec![("q", self.query.clone())];
        parameters.extend(self.range.parameters());
        parameters
    }
}

/// The pages of a search; each item is a record as it came.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    parameters: Parameters,
    page: std::vec::IntoIter<Box<RawValue>>,
    cursor: Option<String>,
    started: bool,
    page_records: usize,
    /// What the pages so far say about themselves.
    pub(crate) completeness: super::wire::Completeness,
    /// What the answer says about the question.
    pub(crate) notes: Vec<String>,
}

impl Client {
    /// All records that match, in order. `expected` bounds what is asked for at once.
    pub(crate) fn search(&self, search: &Search, expected: Option<usize>) -> Pages<'_> {
        let mut parameters = search.parameters();
        parameters.push(("order", if search.newest_first { "desc" } else { "asc" }.to_owned()));
        Pages {
            client: self,
            parameters,
            page: Vec::new().into_iter(),
            cursor: None,
            started: false,
            page_records: expected.map_or(PAGE_RECORDS, |expected| expected.clamp(1, PAGE_RECORDS)),
            completeness: super::wire::Completeness::default(),
            notes: Vec::new(),
        }
    }

    /// How many records match.
    pub(crate) fn count(&self, search: &Search) -> anyhow::Result<Count> {
        self.get("/api/v1/count", &search.parameters())?
            .with_context(|| format!("{} does not know /api/v1/count: is it an older needle?", self.url))
    }

    /// The journey of an id with all its nodes, and as the JSON it came in; `None` when nothing carries the id.
    pub(crate) fn journey(&self, id: &str, options: &[(&'static str, String)]) -> anyhow::Result<Option<(Journey, Vec<Box<RawValue>>)>> {
        let path = format!("/api/v1/journey/{}", path_segment(id));
        let mut pages = Vec::new();
        let mut whole: Option<Journey> = None;
        let mut cursor: Option<String> = None;
        loop {
            let mut parameters = options.to_vec();
            parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let Some(raw) = self.get::<Box<RawValue>>(&path, &parameters)? else {
                return if whole.is_none() { Ok(None) } else { bail!("the journey of {id} went away while it was read: ask again") };
            };
            let mut page: Journey = serde_json::from_str(raw.get()).with_context(|| format!("the answer about {id} cannot be read"))?;
            pages.push(raw);
            cursor = page.next_cursor.take();
            match &mut whole {
                Some(journey) => {
                    journey.append(page.nodes);
                    journey.completeness.merge(page.completeness);
                }
                None => whole = Some(page),
            }
            if cursor.is_none() {
                return Ok(whole.map(|journey| (journey, pages)));
            }
        }
    }
}

impl Pages<'_> {
    /// Whether there are records beyond those taken so far.
    pub(crate) fn has_more(&self) -> bool {
        self.page.len() > 0 || self.cursor.is_some()
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let mut parameters = self.parameters.clone();
        parameters.push(("limit", self.page_records.to_string()));
        parameters.extend(self.cursor.take().map(|cursor| ("cursor", cursor)));
        let page: SearchPage = self
            .client
            .get("/api/v1/search", &parameters)?
            .with_context(|| format!("{} does not know /api/v1/search: is it a needle server?", self.client.url))?;
        self.started = true;
        self.cursor = page.next_cursor;
        self.page = page.records.into_iter();
        self.completeness.merge(page.completeness);
        self.notes.extend(page.notes);
        Ok(())
    }
}

impl Iterator for Pages<'_> {
    type Item = anyhow::Result<Box<RawValue>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.page.next() {
                return Some(Ok(record));
            }
            if self.started && self.cursor.is_none() {
                return None;
            }
            if let Err(error) = self.turn() {
                self.started = true;
                self.cursor = None;
                return Some(Err(error));
            }
        }
    }
}

/// `text` as one segment of a path.
pub(crate) fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && text != "." && text != "..") {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_the_path() {
        assert_eq!(path_segment("req-7f3A_.~"), "req-7f3A_.~");
        assert_eq!(path_segment("a/b?c=d e%{ü}"), "a%2Fb%3Fc%3Dd%20e%25%7B%C3%BC%7D");
        assert_eq!(path_segment(".."), "%2E%2E");
    }
}
