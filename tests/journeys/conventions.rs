//! How services write the id of a request: where, under which name, in which spelling.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

use crate::attributes::{text, text_value};
use crate::fleet::TextStyle;
use crate::random::Random;

/// The ids that are passed along with a call.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) request: RequestId,
    pub(crate) trace: [u8; 16],
    /// The span that made the call.
    pub(crate) span: Option<[u8; 8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestId {
    /// A UUID, or the 32 digits of nginx.
    Wide([u8; 16]),
    /// Rails, Heroku and home-grown ones.
    Opaque(String),
}

impl RequestId {
    pub(crate) fn any(random: &mut Random) -> RequestId {
        if random.happens(0.75) {
            let mut bytes: [u8; 16] = random.bytes();
            bytes[6] = 0x40 | (bytes[6] & 0x0f);
            bytes[8] = 0x80 | (bytes[8] & 0x3f);
            return RequestId::Wide(bytes);
        }
        let digits = random.next();
        RequestId::Opaque(match random.below(3) {
            0 => format!("01HV{digits:020}"),
            1 => format!("web-1.{digits:x}"),
            _ => format!("ord_{:x}-{}", digits >> 16, digits % 997),
        })
    }
}

/// Where an id stands in a record.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Attribute(&'static str),
    /// The values of a header are an array in OpenTelemetry's conventions.
    Header(&'static str),
    /// In the text, around the id.
    Text(&'static str, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Plain,
    Upper,
    Bare,
    Braced,
    /// Envoy writes its sampling decision over the version.
    Envoy,
    OpenStack,
    Trace,
    TraceUpper,
    Low64,
    Datadog,
    XRay,
    Google,
    GoogleLog,
    Traceparent,
    B3,
    Sleuth,
}

use Carrier::{Attribute, Header, Text};
use Spelling::{
    B3, Bare, Braced, Datadog, Envoy, Google, GoogleLog, Low64, OpenStack, Plain, Sleuth, Trace, TraceUpper, Traceparent, Upper, XRay,
};

/// How one service writes the id of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convention(Carrier, Spelling);

const BY_REQUEST: [Convention; 36] = [
    Convention(Attribute("request_id"), Plain),
    Convention(Attribute("request.id"), Upper),
    Convention(Attribute("requestId"), Plain),
    Convention(Attribute("RequestId"), Braced),
    Convention(Attribute("x-request-id"), Envoy),
    Convention(Attribute("X-Request-ID"), Envoy),
    Convention(Attribute("http.request_id"), Bare),
    Convention(Attribute("req_id"), Bare),
    Convention(Attribute("reqId"), Plain),
    Convention(Attribute("correlation_id"), Plain),
    Convention(Attribute("CorrelationId"), Upper),
    Convention(Attribute("x-correlation-id"), Plain),
    Convention(Attribute("corr_id"), Plain),
    Convention(Attribute("aws.request_id"), Plain),
    Convention(Attribute("aws_request_id"), Plain),
    Convention(Attribute("faas.invocation_id"), Plain),
    Convention(Attribute("transaction.id"), Plain),
    Convention(Attribute("x-ms-request-id"), Plain),
    Convention(Attribute("x-amzn-request-id"), Plain),
    Convention(Attribute("x-openstack-request-id"), OpenStack),
    Convention(Attribute("x-unique-id"), Plain),
    Convention(Attribute("mdc.requestId"), Plain),
    Convention(Attribute("context.request_id"), Plain),
    Convention(Attribute("headers.x-request-id"), Envoy),
    Convention(Attribute("fields.correlation_id"), Upper),
    Convention(Header("http.request.header.x-request-id"), Plain),
    Convention(Header("http.request.header.x-correlation-id"), Plain),
    Convention(Header("rpc.grpc.request.metadata.x-request-id"), Plain),
    Convention(Text("[", "] Started GET \"/\" for 10.0.0.1"), Plain),
    Convention(Text("INFO keystone [", " - - -] checking token"), OpenStack),
    Convention(Text("at=info method=GET path=\"/\" request_id=", " fwd=\"10.1.1.1\" status=200"), Plain),
    Convention(Text("GET / 200 requestId: ", ""), Plain),
    Convention(Text("{\"inner\": \"x\", \"requestId\": \"", "\"}"), Upper),
    Convention(Text("correlation-id=\"", "\" done"), Plain),
    Convention(Text("GET /index 200 0.003 x-request-id=", ""), Bare),
    Convention(Text("handling (X-Correlation-ID: ", ") now"), Plain),
];

const BY_TRACE: [Convention; 18] = [
    Convention(Attribute("trace_id"), Trace),
    Convention(Attribute("traceId"), TraceUpper),
    Convention(Attribute("trace.id"), Trace),
    Convention(Attribute("otel.trace_id"), Trace),
    Convention(Attribute("dd.trace_id"), Datadog),
    Convention(Attribute("x-datadog-trace-id"), Datadog),
    Convention(Attribute("x-b3-traceid"), Low64),
    Convention(Attribute("X-B3-TraceId"), Trace),
    Convention(Attribute("b3"), B3),
    Convention(Attribute("traceparent"), Traceparent),
    Convention(Attribute("X-Amzn-Trace-Id"), XRay),
    Convention(Attribute("x-cloud-trace-context"), Google),
    Convention(Attribute("logging.googleapis.com/trace"), GoogleLog),
    Convention(Header("http.request.header.traceparent"), Traceparent),
    Convention(Text("served, trace_id=", ""), Trace),
    Convention(Text("[dd.service=x dd.trace_id=", "] served"), Datadog),
    Convention(Text("INFO [app,", "] served"), Sleuth),
    Convention(Text("x-amzn-trace-id: ", " served"), XRay),
];

/// What a record says of the ids it was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) text: String,
}

impl Convention {
    pub(crate) fn any(request: &RequestId, random: &mut Random) -> Convention {
        if random.happens(0.3) { *random.pick(&BY_TRACE) } else { Convention::of_request(request, random) }
    }

    /// By the request id, not the trace.
    pub(crate) fn of_request(request: &RequestId, random: &mut Random) -> Convention {
        let fits = |Convention(carrier, spelling): &Convention| match request {
            RequestId::Wide(_) => true,
            // In brackets only a UUID is known for what it is.
            RequestId::Opaque(_) => *spelling == Plain && !matches!(carrier, Text("[", _)),
        };
        let fitting: Vec<Convention> = BY_REQUEST.into_iter().filter(fits).collect();
        *random.pick(&fitting)
    }

    /// One that puts the id into a text.
    pub(crate) fn in_text(request: &RequestId, style: TextStyle, by_request_only: bool, random: &mut Random) -> Convention {
        let by_trace: &[Convention] = if by_request_only { &[] } else { &BY_TRACE };
        let fits = |Convention(carrier, spelling): &Convention| match (carrier, request) {
            (Text("[", _), RequestId::Opaque(_)) => false,
            // In front of a message, not within quotes.
            (Text("[", _), _) if style == TextStyle::Logfmt => false,
            (Text(..), RequestId::Opaque(_)) => !matches!(spelling, Upper | Bare | Braced | Envoy | OpenStack),
            (carrier, RequestId::Wide(_)) => matches!(carrier, Text(..)),
            _ => false,
        };
        let fitting: Vec<Convention> = BY_REQUEST.iter().chain(by_trace).filter(|convention| fits(convention)).copied().collect();
        *random.pick(&fitting)
    }

    pub(crate) fn write(self, passed: &Passed) -> Written {
        let id = self.1.spell(passed);
        match self.0 {
            Attribute(key) => Written { attributes: vec![text(key, id)], text: String::new() },
            Header(key) => {
                let value = Value::ArrayValue(ArrayValue { values: vec![text_value(id)] });
                let attribute = KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() };
                Written { attributes: vec![attribute], text: String::new() }
            }
            Text(before, after) => Written { attributes: Vec::new(), text: format!("{before}{id}{after}") },
        }
    }
}

impl Spelling {
    fn spell(self, passed: &Passed) -> String {
        let trace = hex(&passed.trace);
        let low = u64::from_be_bytes(passed.trace[8..].try_into().unwrap());
        let span = passed.span.unwrap_or([1; 8]);
        match self {
            Plain | Upper | Bare | Braced | Envoy | OpenStack => self.spell_request(&passed.request),
            Trace => trace,
            TraceUpper => trace.to_uppercase(),
            Low64 => format!("{low:016x}"),
            Datadog => low.to_string(),
            XRay => format!("Root=1-{}-{};Sampled=1", &trace[..8], &trace[8..]),
            Google => format!("{trace}/{};o=1", u64::from_be_bytes(span)),
            GoogleLog => format!("projects/shop-1/traces/{trace}"),
            Traceparent => format!("00-{trace}-{}-01", hex(&span)),
            B3 => format!("{trace}-{}-1", hex(&span)),
            Sleuth => format!("{trace},{}", hex(&span)),
        }
    }

    fn spell_request(self, request: &RequestId) -> String {
        let bytes = match request {
            RequestId::Opaque(id) => return id.clone(),
            RequestId::Wide(bytes) => bytes,
        };
        let plain = uuid(bytes);
        match self {
            Upper => plain.to_uppercase(),
            Bare => hex(bytes),
            Braced => format!("{{{plain}}}"),
            Envoy => format!("{}a{}", &plain[..14], &plain[15..]),
            OpenStack => format!("req-{plain}"),
            _ => plain,
        }
    }
}

/// Every spelling in which somebody may ask for a request.
pub(crate) fn spellings(passed: &Passed) -> Vec<String> {
    [Plain, Upper, Bare, Braced, Envoy, OpenStack, Trace, TraceUpper, Low64, Datadog, XRay, Google, Traceparent, B3]
        .into_iter()
        .filter(|spelling| matches!(passed.request, RequestId::Wide(_)) || !matches!(spelling, Upper | Bare | Braced | Envoy | OpenStack))
        .map(|spelling| spelling.spell(passed))
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

fn uuid(bytes: &[u8; 16]) -> String {
    let digits = hex(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
