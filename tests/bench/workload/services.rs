//! The services that log and trace, their pods, and the nodes they run on.

use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::text;
use super::random::Random;

/// One of the services.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// Whether it knows its trace; the others only log a request id.
    pub(crate) traced: bool,
}

const fn traced(name: &'static str) -> Service {
    Service { name, traced: true }
}

const fn logs_only(name: &'static str) -> Service {
    Service { name, traced: false }
}

/// Where requests come in stands first.
pub(crate) const SERVICES: [Service; 30] = [
    traced("gateway"),
    traced("web"),
    traced("mobile-api"),
    traced("checkout"),
    traced("cart"),
    traced("catalog"),
    traced("search"),
    traced("pricing"),
    traced("stock"),
    traced("orders"),
    traced("payments"),
    traced("shipping"),
    traced("accounts"),
    traced("reviews"),
    traced("media"),
    traced("recommend"),
    traced("currency"),
    traced("tax"),
    traced("coupons"),
    traced("notify"),
    traced("sessions"),
    logs_only("legacy-auth"),
    logs_only("ledger"),
    logs_only("warehouse"),
    logs_only("mailer"),
    logs_only("fraud"),
    logs_only("billing"),
    logs_only("crm-bridge"),
    logs_only("audit"),
    logs_only("edi-import"),
];

/// Services that requests come in through.
pub(crate) const FRONTS: u64 = 3;
/// Services that know their trace.
pub(crate) const TRACED: u64 = 21;
/// Of each service.
pub(crate) const PODS: u64 = 3;
/// Each runs six pods, whose records its agent sends together.
pub(crate) const NODES: usize = 15;

const REGIONS: [&str; 3] = ["eu-central-1", "eu-west-1", "us-east-1"];
const ROUTES: [(&str, &str); 24] = [
    ("GET", "/"),
    ("GET", "/products/{id}"),
    ("GET", "/products"),
    ("POST", "/cart/items"),
    ("GET", "/cart/{id}"),
    ("DELETE", "/cart/items/{id}"),
    ("POST", "/checkout"),
    ("GET", "/orders/{id}"),
    ("POST", "/orders"),
    ("GET", "/users/{id}"),
    ("PUT", "/users/{id}"),
    ("POST", "/login"),
    ("GET", "/search"),
    ("GET", "/prices/{id}"),
    ("GET", "/stock/{id}"),
    ("POST", "/stock/reserve"),
    ("POST", "/payments"),
    ("GET", "/payments/{id}"),
    ("POST", "/shipments"),
    ("GET", "/shipments/{id}"),
    ("GET", "/reviews/{id}"),
    ("GET", "/media/{id}/thumb"),
    ("POST", "/coupons/redeem"),
    ("POST", "/notify"),
];

/// A running copy of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pod {
    pub(crate) service: usize,
    number: u64,
}

impl Pod {
    pub(crate) fn any_of(service: usize, random: &mut Random) -> Pod {
        Pod { service, number: random.below(PODS) }
    }

    pub(crate) fn service(self) -> &'static Service {
        &SERVICES[self.service]
    }

    pub(crate) fn node(self) -> usize {
        (self.service * PODS as usize + self.number as usize) % NODES
    }

    /// What every batch says about it.
    pub(crate) fn resource(self) -> Resource {
        let service = self.service().name;
        let mut random = Random::of(self.service as u64, self.number);
        let set = Random::of(self.service as u64, PODS).next();
        let name = format!("{service}-{:08x}-{:05x}", set >> 32, random.below(1 << 20));
        let attributes = vec![
            text("service.name", service),
            text("service.version", format!("{}.{}.{}", 1 + set % 4, set % 17, set % 29)),
            text("service.instance.id", format!("{:016x}", random.next())),
            text("deployment.environment.name", "production"),
            text("cloud.region", REGIONS[self.node() % REGIONS.len()]),
            text("k8s.namespace.name", "shop"),
            text("k8s.node.name", format!("node-{:02}", self.node())),
            text("k8s.pod.name", name),
        ];
        Resource { attributes, ..Resource::default() }
    }
}

/// What a service was asked.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) path: String,
}

impl Call {
    /// One of the few routes of a service, about the thing `id`.
    pub(crate) fn of(service: usize, id: u64, random: &mut Random) -> Call {
        let (method, route) = ROUTES[(service * 5 + random.below(4) as usize) % ROUTES.len()];
        Call { method, route, path: route.replace("{id}", &id.to_string()) }
    }
}
