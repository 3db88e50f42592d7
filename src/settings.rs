//! All settings of the program: defaults, then the file, then the environment, then flags. Rooms own theirs; here they
//! are composed, once.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::Args;
use etcetera::BaseStrategy;
use needle_ingest::IngestSettings;
use needle_ingest::storage::StoreSettings;
use needle_web::WebSettings;
use needle_web::query::QuerySettings;
use serde::{Deserialize, Serialize};

use crate::cli::Unusable;
use crate::server::{Exposure, Origins, ServerLimits, TlsFiles};

mod effective;
mod retention;

pub(crate) use effective::{Effective, effective};
pub(crate) use retention::RetentionTable;

/// What has to be said to listen where anyone can send and read.
const INSECURE_PHRASE: &str = "i-understand";

/// Settings that flags, the environment and the file share. None: not given there.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeFlags {
    /// The folder that keeps all data [default: the platform's data folder].
    #[arg(long, env = "NEEDLE_DATA", value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Where OTLP/gRPC is taken; port 0 picks a free one [default: 127.0.0.1:4317].
    #[arg(long, env = "NEEDLE_OTLP_GRPC", value_name = "ADDRESS")]
    pub(crate) otlp_grpc: Option<String>,
    /// Where OTLP/HTTP is taken [default: 127.0.0.1:4318].
    #[arg(long, env = "NEEDLE_OTLP_HTTP", value_name = "ADDRESS")]
    pub(crate) otlp_http: Option<String>,
    /// Where the UI and the API are [default: 127.0.0.1:7117].
    #[arg(long, env = "NEEDLE_HTTP", value_name = "ADDRESS")]
    pub(crate) http: Option<String>,
    /// Keep logs and spans for this long, as 30d or 12h, and refuse older ones; by signal and service with
    /// [retention] in the settings file [default: none, records of any age are taken and kept].
    #[arg(long, env = "NEEDLE_RETENTION", value_name = "DURATION")]
    pub(crate) retention: Option<String>,
    /// Use no more disk than this, as 50GB.
    #[arg(long, env = "NEEDLE_DISK_LIMIT", value_name = "SIZE")]
    pub(crate) disk_limit: Option<String>,
    /// The certificate of this server and those that vouch for it (PEM); all listeners then speak TLS. A changed file is taken
    /// into use without a restart.
    #[arg(long, env = "NEEDLE_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM), in a file that only its owner and group can read.
    #[arg(long, env = "NEEDLE_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Who signs the certificates of clients (PEM); who shows none of them is not served.
    #[arg(long, env = "NEEDLE_TLS_CLIENT_CA", value_name = "FILE")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Sites whose pages may send records from a browser, as https://shop.example; several with commas.
    #[arg(long, env = "NEEDLE_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) cors_origins: Vec<String>,
    /// Listen on other than loopback addresses without tokens or without TLS: `i-understand`.
    #[arg(long, env = "NEEDLE_INSECURE_LISTEN", value_name = "PHRASE")]
    pub(crate) insecure_listen: Option<String>,
    /// What is logged to stderr: a level, or `room=level` pairs [default: info].
    #[arg(long, env = "NEEDLE_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// The settings file, or the defaults where it says nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The folder that keeps all data; the platform's where none is given.
    pub(crate) data: Option<PathBuf>,
    /// Where OTLP/gRPC is taken.
    pub(crate) otlp_grpc: String,
    /// Where OTLP/HTTP is taken.
    pub(crate) otlp_http: String,
    /// Where the UI and the API are.
    pub(crate) http: String,
    /// How long records are kept; older ones are refused.
    pub(crate) retention: RetentionTable,
    /// A bound of the data folder.
    pub(crate) disk_limit: Option<String>,
    /// The certificate of this server.
    pub(crate) tls_cert: Option<PathBuf>,
    /// And its key.
    pub(crate) tls_key: Option<PathBuf>,
    /// Who signs the certificates of clients.
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Sites whose pages may send records.
    pub(crate) cors_origins: Vec<String>,
    /// The phrase that allows other than loopback addresses.
    pub(crate) insecure_listen: Option<String>,
    /// What is logged.
    pub(crate) log: String,
    /// At shutdown, requests under way and records in memory get this long.
    pub(crate) shutdown_timeout_ms: u64,
    /// Of every listener.
    pub(crate) server: ServerLimits,
    /// Of the room that remembers.
    pub(crate) storage: StoreSettings,
    /// Of the room that receives.
    pub(crate) ingest: IngestSettings,
    /// Of the room that asks.
    pub(crate) query: QuerySettings,
    /// Of the room that shows.
    pub(crate) web: WebSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            data: None,
            otlp_grpc: "127.0.0.1:4317".to_owned(),
            otlp_http: "127.0.0.1:4318".to_owned(),
            http: "127.0.0.1:7117".to_owned(),
            retention: RetentionTable::default(),
            disk_limit: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            cors_origins: Vec::new(),
            insecure_listen: None,
            log: "info".to_owned(),
            shutdown_timeout_ms: 25_000,
            server: ServerLimits::default(),
            storage: StoreSettings::default(),
            ingest: IngestSettings::default(),
            query: QuerySettings::default(),
            web: WebSettings::default(),
        }
    }
}

impl Settings {
    /// Settings from a file, if one is named, and flags (which clap has filled from the environment).
    pub(crate) fn load(file: Option<&Path>, flags: &ServeFlags) -> Result<Settings, Unusable> {
        let mut settings = match file {
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| Unusable(format!("the settings file {} cannot be read: {error}", path.display())))?;
                Settings::parse(&text, &path.display().to_string())?
            }
            None => Settings::default(),
        };
        settings.overlay(flags);
        settings.compose()?;
        Ok(settings)
    }

    /// Reads a settings file; errors name the file, the line and the key.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Settings, Unusable> {
        let settings: Settings = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.as_bytes()[..start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
            let written = text.lines().nth(line - 1).unwrap_or_default().trim();
            Unusable(format!("{file}, line {line} ({written}): {}", error.message().replace('\n', " ")))
        })?;
        // What has a name at the top has no second one in a room.
        let table: toml::Table = toml::from_str(text).map_err(|error| Unusable(format!("{file}: {}", error.message())))?;
        for (room, key, top) in [("storage", "data", "data"), ("storage", "retention", "retention"), ("ingest", "retention", "retention")] {
            if table.get(room).and_then(|room| room.get(key)).is_some() {
                return Err(Unusable(format!("{file}: {room}.{key} is set by `{top}` at the top of the file: write it there")));
            }
        }
        Ok(settings)
    }

    fn overlay(&mut self, flags: &ServeFlags) {
        let ServeFlags { data, otlp_grpc, otlp_http, http, retention, disk_limit, insecure_listen, log, .. } = flags.clone();
        let ServeFlags { tls_cert, tls_key, tls_client_ca, cors_origins, .. } = flags.clone();
        self.data = data.or(self.data.take());
        self.tls_cert = tls_cert.or(self.tls_cert.take());
        self.tls_key = tls_key.or(self.tls_key.take());
        self.tls_client_ca = tls_client_ca.or(self.tls_client_ca.take());
        if !cors_origins.is_empty() {
            self.cors_origins = cors_origins;
        }
        if let Some(duration) = retention {
            self.retention.set_all(&duration);
        }
        self.disk_limit = disk_limit.or(self.disk_limit.take());
        self.insecure_listen = insecure_listen.or(self.insecure_listen.take());
        for (own, flag) in
            [(&mut self.otlp_grpc, otlp_grpc), (&mut self.otlp_http, otlp_http), (&mut self.http, http), (&mut self.log, log)]
        {
            if let Some(flag) = flag {
                *own = flag;
            }
        }
    }

    /// Hands the rooms what stands at the top, and refuses what cannot be honoured.
    fn compose(&mut self) -> Result<(), Unusable> {
        let folder = match self.data.clone() {
            Some(folder) if folder.as_os_str().is_empty() => {
                return Err(Unusable("the data folder's name is empty: give one with --data".to_owned()));
            }
            Some(folder) => folder,
            None => platform_folder()?,
        };
        self.storage.data = folder.clone();
        self.data = Some(folder);
        let retention = self.retention.compose()?;
        (self.storage.retention, self.ingest.retention) = (retention.clone(), retention);
        if let Some(text) = &self.disk_limit {
            let bytes = parse_size(text)?;
            return Err(Unusable(format!(
                "disk_limit ({bytes} bytes) cannot be honoured yet: nothing is deleted to stay below it, so leave it out and watch the data folder"
            )));
        }
        self.server.check().map_err(|problem| Unusable(format!("server.{problem}")))?;
        self.storage.check().map_err(|problem| Unusable(format!("storage.{problem}")))?;
        self.ingest.check().map_err(|problem| Unusable(format!("ingest.{problem}")))?;
        self.query.check().map_err(|problem| Unusable(format!("query.{problem}")))?;
        self.web.check().map_err(|problem| Unusable(problem.to_string()))?;
        self.origins()?;
        self.tls()?;
        Ok(())
    }

    /// Sites whose pages may send records.
    pub(crate) fn origins(&self) -> Result<Origins, Unusable> {
        Origins::new(&self.cors_origins).map_err(Unusable)
    }

    /// Certificate and key, if connections are to be encrypted.
    pub(crate) fn tls(&self) -> Result<Option<TlsFiles>, Unusable> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let client_ca = self.tls_client_ca.clone();
                Ok(Some(TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca }))
            }
            (None, None) if self.tls_client_ca.is_none() => Ok(None),
            _ => Err(Unusable("tls_cert, tls_key: TLS needs both, a certificate and its key: give --tls-cert and --tls-key".to_owned())),
        }
    }

    /// How this server stands in the world; other than loopback only with TLS and a token, or with the phrase.
    pub(crate) fn exposure(&self, has_token: bool) -> Result<Exposure, Unusable> {
        let tls = self.tls_cert.is_some();
        let mut exposure = Exposure { loopback: true, tls, insecure: false };
        for (name, text) in [("otlp-grpc", &self.otlp_grpc), ("otlp-http", &self.otlp_http), ("http", &self.http)] {
            let address = self.listen_address(name, text)?;
            if address.ip().to_canonical().is_loopback() {
                continue;
            }
            exposure.loopback = false;
            if tls && has_token {
                continue;
            }
            exposure.insecure = true;
            let missing = match (tls, has_token) {
                (false, false) => "encrypt it with --tls-cert and --tls-key and make a token with `needle token create`",
                (false, true) => "encrypt it with --tls-cert and --tls-key",
                (true, _) => "make a token with `needle token create`",
            };
            match self.insecure_listen.as_deref() {
                Some(INSECURE_PHRASE) => {}
                Some(other) => return Err(Unusable(format!("--insecure-listen={other} is not the phrase: it is {INSECURE_PHRASE}"))),
                None => {
                    return Err(Unusable(format!(
                        "--{name} {address} can be reached from other machines: {missing}, or accept that others can read and send with --insecure-listen={INSECURE_PHRASE}"
                    )));
                }
            }
        }
        Ok(exposure)
    }

    /// The address of a listener.
    pub(crate) fn listen_address(&self, name: &str, text: &str) -> Result<SocketAddr, Unusable> {
        let address = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        address.ok_or_else(|| {
            Unusable(format!("--{name} {text} is no address: give one like 127.0.0.1:4317, with a port; port 0 picks a free one"))
        })
    }
}

fn platform_folder() -> Result<PathBuf, Unusable> {
    let strategy = etcetera::choose_base_strategy()
        .map_err(|_| Unusable("there is no home folder to keep data in: name a folder with --data or NEEDLE_DATA".to_owned()))?;
    Ok(strategy.data_dir().join("needle"))
}

/// `50GB`, `512MiB`, `1000000`: bytes.
fn parse_size(text: &str) -> Result<u64, Unusable> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1000),
        "m" | "mb" => Some(1000_u64.pow(2)),
        "g" | "gb" => Some(1000_u64.pow(3)),
        "t" | "tb" => Some(1000_u64.pow(4)),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| Unusable(format!("disk_limit: {text:?} is no size: give one like 50GB or 512MiB")))
}

#[cfg(test)]
mod tests;
