//! TLS by rustls: certificates from files, which may change while the server runs.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::validity;

/// How often the files are looked at.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// A certificate that ends within this many seconds is warned about when it is read.
const WARNING_SECONDS: i64 = 14 * 24 * 60 * 60;

/// Where certificates and keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Who signs the certificates that clients must show; without it they need none.
    pub(crate) client_ca: Option<PathBuf>,
}

/// What TLS counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsMetrics {
    loaded: Counter,
    refused: Counter,
    /// Unix time at which the certificate in use ends.
    ends: Gauge,
    pub(super) failed_handshakes: Counter,
}

impl TlsMetrics {
    /// Makes them known under `needle_tls_`.
    pub(crate) fn register(registry: &mut Registry) -> TlsMetrics {
        let metrics = TlsMetrics::default();
        let registry = registry.sub_registry_with_prefix("needle_tls");
        registry.register("certificate_loads", "Certificates that were taken into use", metrics.loaded.clone());
        registry.register(
            "certificate_refusals",
            "Changed files that were not taken into use, because they cannot be read or do not fit together",
            metrics.refused.clone(),
        );
        registry.register("certificate_ends_timestamp_seconds", "When the certificate in use ends", metrics.ends.clone());
        registry.register("failed_handshakes", "Connections that ended before TLS was agreed on", metrics.failed_handshakes.clone());
        metrics
    }
}

/// Which versions of the files there are.
type Stamps = [Option<(u64, u64, i64, i64)>; 3];

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    looked: Mutex<Looked>,
    pub(super) metrics: TlsMetrics,
}

#[derive(Debug)]
struct Looked {
    /// What the last attempt read, whether it was taken into use or not.
    tried: Stamps,
    /// What the last look saw.
    seen: Stamps,
}

impl Tls {
    /// Reads the files; says in one sentence what is wrong with them.
    pub(crate) fn open(files: TlsFiles, metrics: TlsMetrics) -> Result<Arc<Tls>, String> {
        let stamps = stamps(&files);
        let (current, ends) = read(&files)?;
        let looked = Mutex::new(Looked { tried: stamps, seen: stamps });
        let tls = Tls { files, current: RwLock::new(current), looked, metrics };
        tls.took(ends);
        Ok(Arc::new(tls))
    }

    /// For the next handshake.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.read().clone()
    }

    /// Takes changed files into use, once they have stayed the same from one look to the next: certificate and key are two
    /// files, and one is written before the other. Files that do not fit together leave those in use that did.
    pub(crate) fn look(&self) {
        let now = stamps(&self.files);
        {
            let mut looked = self.looked.lock();
            let settled = std::mem::replace(&mut looked.seen, now) == now;
            if !settled || looked.tried == now {
                return;
            }
            looked.tried = now;
        }
        match read(&self.files) {
            Ok((config, ends)) => {
                *self.current.write() = config;
                tracing::info!("the certificate {} is in use from now on", self.files.certificate.display());
                self.took(ends);
            }
            Err(problem) => {
                self.metrics.refused.inc();
                tracing::error!("the certificate stays the one from before: {problem}");
            }
        }
    }

    fn took(&self, ends: Option<Timestamp>) {
        self.metrics.loaded.inc();
        let Some(ends) = ends else { return };
        self.metrics.ends.set(ends.as_second());
        let left = ends.as_second() - Timestamp::now().as_second();
        if left < WARNING_SECONDS {
            let verb = if left < 0 { "ended" } else { "ends" };
            tracing::warn!("the certificate {} {verb} at {ends}: clients will refuse it", self.files.certificate.display());
        }
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    [stamp(&files.certificate), stamp(&files.key), files.client_ca.as_deref().and_then(stamp)]
}

fn read(files: &TlsFiles) -> Result<(Arc<ServerConfig>, Option<Timestamp>), String> {
    let chain = certificates("tls_cert", &files.certificate)?;
    let ends = chain.first().and_then(|certificate| validity::end_of(certificate));
    let key = key(&files.key)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls_client_ca", path)? {
                roots.add(certificate).map_err(|error| format!("tls_client_ca: {} is no authority ({error})", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("tls_client_ca: {}: {error}", path.display()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        format!(
            "tls_cert and tls_key: {} and {} do not fit together ({error}): give the key that the certificate was made for",
            files.certificate.display(),
            files.key.display()
        )
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), ends))
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: &dyn std::fmt::Display| {
        format!("{setting}: {} cannot be read ({error}): give a file with certificates in PEM, the server's own first", path.display())
    };
    let text = fs::read(path).map_err(|error| unreadable(&error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unreadable(&"there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(&error)),
    }
}

/// The key, from a file that is nobody else's.
fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let unreadable = |error: &dyn std::fmt::Display| {
        format!("tls_key: {} cannot be read ({error}): give a file with a private key in PEM", path.display())
    };
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.mode() & 0o007 != 0 {
        return Err(format!(
            "tls_key: {} is open to every user of this machine (mode {:o}), who could pass for this server: chmod 600 it",
            path.display(),
            metadata.mode() & 0o777
        ));
    }
    let text = fs::read(path).map_err(|error: io::Error| unreadable(&error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| unreadable(&error))
}

#[cfg(test)]
mod tests;
