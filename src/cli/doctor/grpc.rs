//! OTLP over gRPC, as an exporter sends it: in the clear or over TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// Where OTLP over gRPC is taken.
pub(super) struct Grpc {
    /// `host:port`.
    pub(super) address: String,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) token: Option<String>,
}

impl Grpc {
    /// Sends logs, all of which have to be taken.
    pub(super) fn send(&self, request: ExportLogsServiceRequest, timeout: Duration) -> anyhow::Result<()> {
        self.export(request, self.token.as_deref(), timeout)
    }

    fn export(&self, request: ExportLogsServiceRequest, token: Option<&str>, timeout: Duration) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = &self.address;
        runtime.block_on(async {
            let exported = async {
                let mut client = LogsServiceClient::new(self.connect().await?);
                let mut call = tonic::Request::new(request);
                if let Some(token) = token {
                    call.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
                }
                let partial = client.export(call).await?.into_inner().partial_success.unwrap_or_default();
                if partial.rejected_log_records > 0 {
                    bail!("{address} rejected it: {}", partial.error_message);
                }
                Ok(())
            };
            tokio::time::timeout(timeout, exported)
                .await
                .with_context(|| format!("{address} did not answer within {} s", timeout.as_secs()))?
        })
    }

    /// Whether OTLP over gRPC is taken here: an empty request is. Whoever has the port may be anybody, and is not shown the token.
    pub(super) fn is_spoken(&self, timeout: Duration) -> bool {
        match self.export(ExportLogsServiceRequest::default(), None, timeout) {
            Ok(()) => true,
            Err(error) => error.downcast_ref::<tonic::Status>().is_some_and(|status| {
                // One that asks for a token, or is not ready, speaks it too.
                matches!(status.code(), tonic::Code::Unauthenticated | tonic::Code::PermissionDenied) || !status.details().is_empty()
            }),
        }
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        let Some(tls) = &self.tls else { return Ok(endpoint.connect().await?) };
        let host = endpoint.uri().host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let (connector, address) = (TlsConnector::from(tls.clone()), self.address.clone());
        let connect = move |_| {
            let (connector, name, address) = (connector.clone(), name.clone(), address.clone());
            async move { Ok::<_, io::Error>(TokioIo::new(connector.connect(name, TcpStream::connect(address).await?).await?)) }
        };
        Ok(endpoint.connect_with_connector(tower::service_fn(connect)).await?)
    }
}
