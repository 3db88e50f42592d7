//! Whom a client believes to be the server, and how it proves who it is itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::Unusable;
use super::arguments::ServerArguments;

/// TLS as the flags say: the authorities of the system, and the one that is given.
pub(crate) fn tls(arguments: &ServerArguments) -> Result<TlsConfig, Unusable> {
    // What of the system's cannot be read is not trusted, and shows when it is needed.
    let mut roots: Vec<Certificate<'static>> =
        rustls_native_certs::load_native_certs().certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    if let Some(path) = &arguments.ca_file {
        roots.extend(certificates("--ca-file", path)?);
    }
    let roots = if roots.is_empty() { RootCerts::WebPki } else { RootCerts::from(roots) };
    let own = match (&arguments.client_cert, &arguments.client_key) {
        (Some(certificate), Some(key)) => Some(ClientCert::new_with_certs(&certificates("--client-cert", certificate)?, private_key(key)?)),
        _ => None,
    };
    Ok(TlsConfig::builder().root_certs(roots).client_cert(own).build())
}

/// The same for gRPC, which is HTTP/2.
pub(crate) fn tls_of_grpc(arguments: &ServerArguments) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &arguments.ca_file {
        roots.add_parsable_certificates(ders("--ca-file", path)?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_root_certificates(roots);
    let mut tls = match (&arguments.client_cert, &arguments.client_key) {
        (Some(certificate), Some(key)) => {
            let der = PrivateKeyDer::from_pem_slice(&read("--client-key", key)?);
            let der = der.map_err(|error| Unusable(format!("--client-key {}: {error}: give a private key in PEM", key.display())))?;
            builder.with_client_auth_cert(ders("--client-cert", certificate)?, der)?
        }
        _ => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn ders(flag: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    Ok(certificates(flag, path)?.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect())
}

fn certificates(flag: &str, path: &Path) -> Result<Vec<Certificate<'static>>, Unusable> {
    let text = read(flag, path)?;
    let certificates: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(Unusable(format!("{flag} {}: there is no certificate in it: give one in PEM", path.display()))),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, Unusable> {
    let text = read("--client-key", path)?;
    PrivateKey::from_pem(&text).map_err(|error| Unusable(format!("--client-key {}: {error}: give a private key in PEM", path.display())))
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Unusable> {
    fs::read(path).map_err(|error| Unusable(format!("{flag} {} cannot be read: {error}", path.display())))
}
