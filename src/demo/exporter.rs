//! The OTLP exporters of a service: over gRPC or over HTTP, as real services have them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};

/// How a service sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    /// OTLP/gRPC.
    Grpc(SocketAddr),
    /// OTLP/HTTP with protobuf.
    Http(SocketAddr),
}

/// Sends with the client that the command line uses too. The SDK's exporters run on threads of their own, which may wait.
#[derive(Debug, Clone)]
struct Client(ureq::Agent);

const TIMEOUT: Duration = Duration::from_secs(10);

impl Client {
    fn new() -> Client {
        Client(ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build().new_agent())
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.map(|body| body.to_vec());
        let (head, mut body) = self.0.run(request)?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

/// An exporter of spans. For gRPC, called within a runtime.
pub(super) fn spans(transport: Transport) -> anyhow::Result<SpanExporter> {
    Ok(match transport {
        Transport::Grpc(address) => SpanExporter::builder().with_tonic().with_endpoint(format!("http://{address}")).build()?,
        Transport::Http(address) => SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("http://{address}/v1/traces"))
            .build()?,
    })
}

/// An exporter of logs. For gRPC, called within a runtime.
pub(super) fn logs(transport: Transport) -> anyhow::Result<LogExporter> {
    Ok(match transport {
        Transport::Grpc(address) => LogExporter::builder().with_tonic().with_endpoint(format!("http://{address}")).build()?,
        Transport::Http(address) => LogExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("http://{address}/v1/logs"))
            .build()?,
    })
}
