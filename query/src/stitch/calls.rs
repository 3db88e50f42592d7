//! Calls: the spans that wait for another service or send it a message, and what they say about whom they call.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use needle_storage::model::{SpanKind, StatusCode, TraceId, UnixNanos, Value};

use super::line::{Line, Source};
use super::tree::{Role, Tree, TreeNode};

/// A client or producer span, or one that may be.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) node: usize,
    pub(super) trace_id: Option<TraceId>,
    /// Whom it names, of the services of the journey.
    pub(super) names: Option<Named>,
    /// A message: nobody waits for whoever takes it.
    pub(super) asynchronous: bool,
    pub(super) failed: bool,
    /// Who answered it, once that is known: a call has one callee.
    pub(super) callee: Option<usize>,
    /// Databases and caches send neither spans nor lines, unless a service is named after them.
    silent: bool,
    /// Whether it names a host of the public internet: whoever answers there is seldom one of us.
    pub(super) outward: bool,
}

/// The service a call means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) service: String,
    /// Where the call gives the address of an instance.
    pub(super) instance: Option<String>,
    /// How well the name fits, 0 to 1.
    pub(super) likeness: f64,
    /// As the call puts it.
    pub(super) peer: String,
}

/// Attributes of a calling span that name the one called; old names of the semantic conventions as well.
const PEER_KEYS: [&str; 12] = [
    "service.peer.name",
    "peer.service",
    "server.address",
    "net.peer.name",
    "http.host",
    "rpc.service",
    "network.peer.address",
    "messaging.destination.name",
    "db.system.name",
    "db.system",
    "peer.hostname",
    "net.peer.ip",
];
pub(crate) const URL_KEYS: [&str; 2] = ["url.full", "http.url"];
const DATABASE_KEYS: [&str; 2] = ["db.system.name", "db.system"];
/// Attributes of a resource under which its instance is reached, and no other.
const ADDRESS_KEYS: [&str; 3] = ["k8s.pod.ip", "container.ip", "host.ip"];

/// The keys of attributes that say whom a span calls.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    PEER_KEYS.into_iter().chain(URL_KEYS).chain(DATABASE_KEYS)
}

/// All calls of a journey.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) all: Vec<Call>,
    by_service: HashMap<String, Vec<usize>>,
    by_node: HashMap<usize, usize, ahash::RandomState>,
}

impl Calls {
    pub(super) fn of(tree: &Tree, logs: &[Line]) -> Calls {
        let mut names = Names::of(tree, logs);
        let above: BTreeSet<usize> = tree.nodes.iter().filter_map(|node| node.parent).collect();
        let mut calls = Calls::default();
        for (index, node) in tree.nodes.iter().enumerate() {
            if let Some(call) = names.call(index, node, above.contains(&index)) {
                calls.by_node.insert(index, calls.all.len());
                if let Some(named) = &call.names {
                    calls.by_service.entry(named.service.clone()).or_default().push(calls.all.len());
                }
                calls.all.push(call);
            }
        }
        for (index, node) in tree.nodes.iter().enumerate() {
            let Some(call) = node.parent.and_then(|parent| calls.by_node.get(&parent)) else { continue };
            let caller = &tree.nodes[calls.all[*call].node];
            if matches!(node.kind, SpanKind::SERVER | SpanKind::CONSUMER) || (node.role == Role::Span && node.service != caller.service) {
                calls.all[*call].callee = Some(index);
            }
        }
        calls
    }

    /// Calls that mean this service, and no other instance of it, and that nobody is known to have answered.
    pub(super) fn to<'a>(&'a self, service: &str, instance: Option<&'a String>) -> impl Iterator<Item = usize> + 'a {
        let named = self.by_service.get(service).map_or(&[][..], Vec::as_slice);
        named.iter().copied().filter(move |&call| {
            let names = self.all[call].names.as_ref().and_then(|named| named.instance.as_ref());
            self.all[call].callee.is_none() && (names.is_none() || names == instance)
        })
    }

    /// Whether some call means this service.
    pub(super) fn name(&self, service: &str) -> bool {
        self.by_service.contains_key(service)
    }

    /// Calls that name no service of the journey, and that nobody is known to have answered.
    pub(super) fn unnamed(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.all.len()).filter(|&call| self.all[call].names.is_none() && !self.all[call].silent && self.all[call].callee.is_none())
    }

    /// The call of a node.
    pub(super) fn at(&self, node: usize) -> Option<usize> {
        self.by_node.get(&node).copied()
    }
}

impl Call {
    /// Whether somebody may have answered of whom no span is known.
    pub(super) fn may_be_lost(&self) -> bool {
        self.callee.is_none() && !self.silent && !self.asynchronous
    }

    /// When its callee was at work: not before the call, and, unless it is a message, not after it.
    pub(super) fn reach(&self, tree: &Tree) -> (UnixNanos, UnixNanos) {
        let node = &tree.nodes[self.node];
        (node.placed_start(), if self.asynchronous { UnixNanos::MAX } else { node.placed_end() })
    }
}

/// Which service a name means. Each name is looked at once, however many calls use it.
struct Names<'a> {
    services: BTreeSet<&'a str>,
    /// Service and instance at an address; none where several share it.
    addresses: HashMap<String, Option<(&'a str, Option<String>)>>,
    known: HashMap<String, Option<Named>>,
}

impl<'a> Names<'a> {
    fn of(tree: &'a Tree, logs: &'a [Line]) -> Names<'a> {
        let mut names = Names { services: BTreeSet::new(), addresses: HashMap::new(), known: HashMap::new() };
        for node in tree.nodes.iter().filter(|node| node.role == Role::Span) {
            let resource = node.span.as_ref().map_or(&[][..], |span| span.source.resource.as_slice());
            names.learn(&node.service, node.process.instance.as_ref(), resource);
        }
        let mut heard: HashSet<*const Source, ahash::RandomState> = HashSet::default();
        for source in logs.iter().map(|log| &log.source).filter(|source| heard.insert(Arc::as_ptr(source))) {
            names.learn(&source.service, source.process.instance.as_ref(), &source.resource);
        }
        names
    }

    fn learn(&mut self, service: &'a str, instance: Option<&String>, resource: &'a [(String, Value)]) {
        self.services.insert(service);
        for (_, value) in resource.iter().filter(|(key, _)| ADDRESS_KEYS.contains(&key.as_str())) {
            let here = (service, instance.cloned());
            let known = self.addresses.entry(value.text().to_lowercase()).or_insert_with(|| Some(here.clone()));
            if known.as_ref() != Some(&here) {
                *known = None;
            }
        }
    }

    /// What a span calls. One that does not say what it is and that has no child may be a call; whom it names is not known,
    /// as it may be itself.
    fn call(&mut self, index: usize, node: &TreeNode, has_child: bool) -> Option<Call> {
        let span = node.span.as_ref()?;
        let says = matches!(node.kind, SpanKind::CLIENT | SpanKind::PRODUCER);
        if !says && (node.kind != SpanKind::default() || has_child) {
            return None;
        }
        let attributes = &span.attributes;
        let mut best: Option<Named> = None;
        for peer in attributes.iter().filter(|_| says).filter_map(|(key, value)| peer_of(key, value)) {
            let named = self.meant_by(&peer);
            best = best.into_iter().chain(named).reduce(|a, b| if stronger(&b, &a) { b } else { a });
        }
        Some(Call {
            node: index,
            trace_id: node.trace_id,
            names: best,
            asynchronous: node.kind == SpanKind::PRODUCER,
            failed: span.status == StatusCode::ERROR,
            callee: None,
            outward: attributes
                .iter()
                .filter(|_| says)
                .filter_map(|(key, value)| peer_of(key, value))
                .any(|peer| is_public(host_of(&peer))),
            silent: attributes.iter().any(|(key, _)| DATABASE_KEYS.contains(&key.as_str())),
        })
    }

    /// The service that a name means: whose address it is, else the one that it is most like.
    fn meant_by(&mut self, peer: &str) -> Option<Named> {
        if let Some(known) = self.known.get(peer) {
            return known.clone();
        }
        let named = |service: &str, instance, likeness| Named { service: service.to_owned(), instance, likeness, peer: peer.to_owned() };
        let address = self.addresses.get(host_of(peer)).cloned().flatten();
        let found = address.map(|(service, instance)| named(service, instance, 1.0)).or_else(|| {
            let rated = self.services.iter().map(|service| (likeness(peer, &service.to_lowercase()), service.len(), *service));
            let best = rated.filter(|(likeness, ..)| *likeness > 0.0).max_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            best.map(|(likeness, _, service)| named(service, None, likeness))
        });
        self.known.insert(peer.to_owned(), found.clone());
        found
    }
}

/// An address tells more than a name, a whole name more than a part of one.
fn stronger(a: &Named, b: &Named) -> bool {
    (a.instance.is_some(), a.likeness) > (b.instance.is_some(), b.likeness)
}

/// Whom an attribute of a calling span names, in lower case.
fn peer_of(key: &str, value: &Value) -> Option<String> {
    let peer = if PEER_KEYS.contains(&key) {
        value.text().to_lowercase()
    } else if URL_KEYS.contains(&key) {
        authority_of(&value.text())?.to_lowercase()
    } else {
        return None;
    };
    (!peer.is_empty()).then_some(peer)
}

pub(crate) fn authority_of(url: &str) -> Option<&str> {
    let after_scheme = url.split_once("://")?.1;
    let authority = after_scheme.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next()
}

/// Whether a host is reached over the internet: an address that is not private, a name in a domain that is not.
fn is_public(host: &str) -> bool {
    const PRIVATE_DOMAINS: [&str; 9] = ["internal", "local", "localdomain", "localhost", "svc", "lan", "corp", "intranet", "home"];
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return !(address.is_private() || address.is_loopback() || address.is_link_local());
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    is_name && host.rsplit_once('.').is_some_and(|(_, domain)| !PRIVATE_DOMAINS.contains(&domain))
}

pub(crate) fn host_of(peer: &str) -> &str {
    peer.split(':').next().unwrap_or(peer)
}

/// How well a peer's name means a service, both in lower case, 0 to 1: it is the service itself, a host in the service's
/// domain, or a name around the service's name.
pub(crate) fn likeness(peer: &str, service: &str) -> f64 {
    const NAME_BYTES_MIN: usize = 3;
    let host = host_of(peer);
    let first_label = host.split('.').next().unwrap_or(host);
    if peer == service || host == service || first_label == service {
        1.0
    } else if service.len() >= NAME_BYTES_MIN && contains_name(peer, service) {
        0.8
    } else if first_label.len() >= NAME_BYTES_MIN && contains_name(service, first_label) {
        0.7
    } else {
        0.0
    }
}

/// Whether `name` stands in `text` between characters that are neither letter nor digit.
fn contains_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric()) && after.is_none_or(|c| !c.is_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::tests::builder::{Shop, tree_of};

    #[test]
    fn a_peer_is_compared_with_a_service_by_whole_names() {
        for (peer, service, expected) in [
            ("auth", "auth", 1.0),
            ("auth:8080", "auth", 1.0),
            ("auth.shop.svc.cluster.local", "auth", 1.0),
            ("legacy-auth", "auth", 0.8),
            ("shop.auth.v1.Tokens", "auth", 0.8),
            ("auth", "auth-service", 0.7),
            ("authority", "auth", 0.0),
            ("10.0.0.1", "auth", 0.0),
        ] {
            assert_eq!(likeness(peer, service), expected, "{peer} for {service}");
        }
        assert_eq!(authority_of("https://user@auth:8443/token?x=/"), Some("auth:8443"));
    }

    #[test]
    fn hosts_of_the_internet_are_told_from_our_own() {
        for (host, expected) in [
            ("api.cards.example", true),
            ("203.0.113.7", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("lb-1.internal", false),
            ("auth.shop.svc.cluster.local", false),
            ("auth", false),
            ("", false),
        ] {
            assert_eq!(is_public(host), expected, "{host}");
        }
    }

    fn named(peer: &str, logging: &[&str]) -> Option<(String, Option<String>)> {
        let mut shop = Shop::default();
        shop.span("web", SpanKind::CLIENT, 1, 0, 0, 10).attribute("server.address", peer);
        for (n, service) in logging.iter().enumerate() {
            shop.log(service, 5, "").instance(&format!("{service}-{n}"));
            shop.edit(|common| {
                std::sync::Arc::make_mut(&mut common.resource).push(("k8s.pod.ip".to_owned(), Value::String(format!("10.0.0.{n}"))));
            });
        }
        let calls = Calls::of(&tree_of(&shop), &shop.lines());
        calls.all[0].names.clone().map(|named| (named.service, named.instance))
    }

    #[test]
    fn a_call_means_the_service_it_names_best() {
        let services = ["ledger", "ledger-archive", "auth"];
        let name = |peer| named(peer, &services).map(|(service, _)| service);
        assert_eq!(name("ledger"), Some("ledger".to_owned()));
        assert_eq!(name("ledger-archive.shop"), Some("ledger-archive".to_owned()));
        assert_eq!(name("shop.ledger-archive.v1.Things"), Some("ledger-archive".to_owned()));
        assert_eq!(name("lb-7.internal"), None);
    }

    #[test]
    fn an_address_means_the_instance_that_has_it() {
        assert_eq!(named("10.0.0.1", &["auth", "auth"]), Some(("auth".to_owned(), Some("auth-1".to_owned()))));
        assert_eq!(named("10.0.0.9", &["auth", "auth"]), None);
    }
}
