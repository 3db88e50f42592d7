//! TLS on all ports: with and without certificates of clients, and certificates that change while it runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint};

use crate::harness::{Server, poll, run};
use crate::otlp;

/// An authority, and what it vouched for, as files.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { folder: tempfile::tempdir().unwrap(), issuer };
        fs::write(authority.path("ca.pem"), authority.issuer.pem()).unwrap();
        authority.vouch("server");
        authority.vouch("client");
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new certificate and key for `name`, in place of those that were there.
    fn vouch(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        for (file, text) in [("pem", certificate.pem()), ("key", key.serialize_pem())] {
            let made = self.path(&format!("{name}.{file}.new"));
            fs::write(&made, text).unwrap();
            fs::set_permissions(&made, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(made, self.path(&format!("{name}.{file}"))).unwrap();
        }
    }

    fn flags(&self, with_clients: bool) -> Vec<String> {
        let mut flags =
            vec!["--tls-cert".to_owned(), text(&self.path("server.pem")), "--tls-key".to_owned(), text(&self.path("server.key"))];
        if with_clients {
            flags.extend(["--tls-client-ca".to_owned(), text(&self.path("ca.pem"))]);
        }
        flags
    }

    fn agent(&self, with_certificate: bool) -> ureq::Agent {
        use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
        let read = |name: &str| fs::read(self.path(name)).unwrap();
        let roots = [Certificate::from_pem(&read("ca.pem")).unwrap()];
        let own = with_certificate.then(|| {
            ClientCert::new_with_certs(
                &[Certificate::from_pem(&read("client.pem")).unwrap()],
                PrivateKey::from_pem(&read("client.key")).unwrap(),
            )
        });
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).client_cert(own).build();
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).tls_config(tls).build().into()
    }

    /// A connection for gRPC; only over HTTP/2 that was agreed on by ALPN.
    async fn channel(&self, address: String, with_certificate: bool) -> Result<Channel, tonic::transport::Error> {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.client(with_certificate)));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let connect = move |_| {
            let (connector, address) = (connector.clone(), address.clone());
            async move {
                let stream = tokio::net::TcpStream::connect(address).await?;
                let stream = connector.connect("localhost".try_into().unwrap(), stream).await?;
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Ok(hyper_util::rt::TokioIo::new(stream)),
                    other => Err(std::io::Error::other(format!("agreed on {other:?}"))),
                }
            }
        };
        endpoint.connect_with_connector(tower::service_fn(connect)).await
    }

    fn client(&self, with_certificate: bool) -> ClientConfig {
        let certificates = |name: &str| CertificateDer::pem_file_iter(self.path(name)).unwrap().map(Result::unwrap).collect::<Vec<_>>();
        let mut roots = RootCertStore::empty();
        roots.add(certificates("ca.pem").remove(0)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let mut client = match with_certificate {
            true => builder
                .with_client_auth_cert(certificates("client.pem"), PrivateKeyDer::from_pem_file(self.path("client.key")).unwrap())
                .unwrap(),
            false => builder.with_no_client_auth(),
        };
        client.alpn_protocols = vec![b"h2".to_vec()];
        client
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn started(authority: &Authority, with_clients: bool) -> Server {
    let flags = authority.flags(with_clients);
    Server::start_with(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

fn https(url: String) -> String {
    url.replace("http://", "https://")
}

/// Sends one log to both ports; whether each took it.
fn exports(server: &Server, authority: &Authority, with_certificate: bool) -> [bool; 2] {
    let request = otlp::logs(vec![otlp::logs_of("web", vec![otlp::log("encrypted", 7)])]);
    let runtime = tokio_runtime();
    let grpc = runtime.block_on(async {
        let channel = authority.channel(server.process().address("otlp-grpc"), with_certificate).await?;
        LogsServiceClient::new(channel).export(request.clone()).await.map_err(Box::<dyn std::error::Error>::from)
    });
    let body = prost::Message::encode_to_vec(&request);
    let url = format!("{}/v1/logs", https(server.otlp_http()));
    let http = authority.agent(with_certificate).post(&url).header("content-type", "application/x-protobuf").send(&body[..]);
    [grpc.is_ok(), http.is_ok_and(|answer| answer.status() == 200)]
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn otlp_74_tls_is_spoken_on_all_ports_and_plain_words_are_answered_plainly() {
    let authority = Authority::new();
    let server = started(&authority, false);
    assert_eq!(exports(&server, &authority, false), [true, true]);
    let found = authority.agent(false).get(format!("{}/api/v1/count?q=encrypted", https(server.url()))).call().unwrap();
    assert_eq!(found.status(), 200);
    for plain in [server.url(), server.otlp_http()] {
        let answer = crate::harness::request("GET", &format!("{plain}/readyz"));
        assert!(answer.status == 400 && answer.text().contains("https://"), "{}", answer.text());
    }
    // Another authority's clients do not believe it.
    assert_eq!(exports(&server, &Authority::new(), false), [false, false]);
}

#[test]
fn otlp_74_clients_without_a_certificate_are_not_served_where_one_is_wanted() {
    let authority = Authority::new();
    let server = started(&authority, true);
    assert_eq!(exports(&server, &authority, true), [true, true]);
    assert_eq!(exports(&server, &authority, false), [false, false]);
}

#[test]
fn fault_67_a_new_certificate_is_used_without_a_restart() {
    let authority = Authority::new();
    let server = started(&authority, false);
    let metrics =
        || authority.agent(false).get(format!("{}/metrics", https(server.url()))).call().unwrap().body_mut().read_to_string().unwrap();
    let counted = |name: &str| metrics().lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap();
    assert_eq!(counted("needle_tls_certificate_loads_total"), 1);
    authority.vouch("server");
    poll("the new certificate", || (counted("needle_tls_certificate_loads_total") == 2).then_some(()));
    fs::write(authority.path("server.pem"), "broken").unwrap();
    poll("a refusal", || (counted("needle_tls_certificate_refusals_total") >= 1).then_some(()));
    assert!(server.process().stderr().contains("the certificate stays the one from before"), "{}", server.process().stderr());
    assert_eq!(exports(&server, &authority, false), [true, true]);
}

#[test]
fn commands_speak_https_with_the_authority_that_they_are_given() {
    let authority = Authority::new();
    let flags = authority.flags(true);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--http", "0.0.0.0:0"]).collect();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap().to_owned();
    let made = crate::harness::stdout_of(&run(&mut crate::harness::needle(&["token", "create", "--scope", "admin", "--data", &folder])));
    let server = Server::start_on_with(data, &flags);
    let url = format!("https://127.0.0.1:{}", server.url().rsplit(':').next().unwrap());
    let (ca, certificate, key) =
        (text(&authority.path("ca.pem")), text(&authority.path("client.pem")), text(&authority.path("client.key")));
    let all = ["services", "--url", &url, "--token", made.trim(), "--ca-file", &ca, "--client-cert", &certificate, "--client-key", &key];
    let answered = server.cli(&all);
    assert_eq!(answered.status.code(), Some(1), "nothing is there yet: {answered:?}");
    let untrusted = server.cli(&["services", "--url", &url, "--token", made.trim()]);
    assert!(String::from_utf8_lossy(&untrusted.stderr).contains("--ca-file"), "{untrusted:?}");
    assert_eq!(untrusted.status.code(), Some(2));
    assert!(!server.process().stderr().contains("other machines can reach this server"));
}

#[test]
fn the_doctor_tries_every_door_over_tls_by_the_name_that_the_certificate_is_for() {
    let authority = Authority::new();
    let tls = authority.flags(true);
    let data = tempfile::tempdir().unwrap();
    let folder = text(data.path());
    let made = crate::harness::stdout_of(&run(&mut crate::harness::needle(&["token", "create", "--scope", "admin", "--data", &folder])));
    let any = "0.0.0.0:0";
    let everywhere = ["--otlp-grpc", any, "--otlp-http", any, "--http", any];
    let server = Server::start_on_with(data, &tls.iter().map(String::as_str).chain(everywhere).collect::<Vec<_>>());
    let port = |name: &str| server.process().address(name).rsplit(':').next().unwrap().to_owned();
    let examine = |host: &str, with_certificate: bool| {
        let mut doctor = crate::harness::needle(&["doctor", "--json", "--token", made.trim(), "--data", &folder]);
        doctor.args(&tls).args(["--url", &format!("https://{host}:{}", port("http")), "--ca-file", &text(&authority.path("ca.pem"))]);
        if with_certificate {
            doctor.args(["--client-cert", &text(&authority.path("client.pem")), "--client-key", &text(&authority.path("client.key"))]);
        }
        for name in ["otlp-grpc", "otlp-http", "http"] {
            doctor.args([&format!("--{name}"), &format!("0.0.0.0:{}", port(name))]);
        }
        let report: serde_json::Value = serde_json::from_slice(&run(&mut doctor).stdout).unwrap();
        let state =
            |check: &&str| report["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == **check).unwrap().clone();
        ["port otlp-grpc", "port otlp-http", "port http", "round trip grpc", "round trip http"].iter().map(state).collect::<Vec<_>>()
    };
    let all = |findings: &[serde_json::Value], state: &str| findings.iter().all(|finding| finding["state"] == state);
    let findings = examine("localhost", true);
    assert!(all(&findings, "good"), "{findings:?}");
    let without_certificate = examine("localhost", false);
    assert!(all(&without_certificate[..3], "broken"), "{without_certificate:?}");
}

#[test]
fn a_key_that_everybody_can_read_is_not_used() {
    let authority = Authority::new();
    fs::set_permissions(authority.path("server.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let flags = authority.flags(false);
    let data = tempfile::tempdir().unwrap();
    let mut serve =
        crate::harness::needle(&["serve", "--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--data"]);
    let refused = run(serve.arg(data.path()).args(flags));
    assert_eq!(refused.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"), "{refused:?}");
}
