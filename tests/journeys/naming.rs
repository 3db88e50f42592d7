//! What a calling span says about whom it calls.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::attributes::{integer, text};
use crate::fleet::{Fleet, Process};
use crate::random::Random;

/// The attributes in use, old and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    Peer,
    ServerAddress,
    Url,
    OldUrl,
    RpcService,
    /// The service, and the address of the instance that answered.
    ServerAndInstance,
    /// Nothing but an address, of the instance.
    Address,
    /// The name of a load balancer.
    Alias,
    Nothing,
}

impl Naming {
    /// How often is a guess at instrumentation in use: HTTP clients must set `server.address`; some see a proxy only.
    pub(crate) fn any(random: &mut Random) -> Naming {
        match random.below(100) {
            0..15 => Naming::Peer,
            15..35 => Naming::ServerAddress,
            35..52 => Naming::Url,
            52..60 => Naming::OldUrl,
            60..68 => Naming::RpcService,
            68..86 => Naming::ServerAndInstance,
            86..90 => Naming::Address,
            90..95 => Naming::Alias,
            _ => Naming::Nothing,
        }
    }

    pub(crate) fn attributes(self, fleet: &Fleet, callee: Process, random: &mut Random) -> Vec<KeyValue> {
        let (name, address) = (fleet.service(callee).name, &fleet.instance(callee).address);
        let host = match random.below(3) {
            0 => name.to_owned(),
            1 => format!("{name}.shop.svc.cluster.local"),
            _ => format!("{name}:8080"),
        };
        match self {
            Naming::Peer => vec![text("peer.service", name)],
            Naming::ServerAddress => vec![text("server.address", host), integer("server.port", 8080)],
            Naming::Url => vec![text("url.full", format!("http://{host}/v1/things?id=7"))],
            Naming::OldUrl => vec![text("http.url", format!("https://{host}/v1/things"))],
            Naming::RpcService => vec![text("rpc.system", "grpc"), text("rpc.service", format!("shop.{name}.v1.Things"))],
            Naming::ServerAndInstance => vec![text("server.address", host), text("network.peer.address", address)],
            Naming::Address => vec![text("net.peer.ip", address)],
            Naming::Alias => vec![text("server.address", format!("lb-{}.internal", random.below(3)))],
            Naming::Nothing => Vec::new(),
        }
    }
}
