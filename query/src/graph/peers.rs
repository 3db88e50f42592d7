//! Whom a calling span names, as its attributes say.

use std::borrow::Cow;

use needle_storage::model::RecordsView;

use crate::stitch::{URL_KEYS, authority_of, host_of, likeness};

/// Attributes that name a peer, the most telling first; old names of the semantic conventions as well. A URL tells its host.
const NAME_KEYS: [&str; 14] = [
    "service.peer.name",
    "peer.service",
    "server.address",
    "net.peer.name",
    "http.host",
    URL_KEYS[0],
    URL_KEYS[1],
    "rpc.service",
    "messaging.destination.name",
    "peer.hostname",
    "network.peer.address",
    "net.peer.ip",
    "db.namespace",
    "db.name",
];
/// Attributes that say what kind of thing it is, and name it where nothing else does.
const SYSTEM_KEYS: [&str; 3] = ["db.system.name", "db.system", "messaging.system"];

/// Every attribute that is looked at.
pub(super) const KEYS: [&str; NAME_KEYS.len() + SYSTEM_KEYS.len()] = {
    let mut keys = [""; NAME_KEYS.len() + SYSTEM_KEYS.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = if at < NAME_KEYS.len() { NAME_KEYS[at] } else { SYSTEM_KEYS[at - NAME_KEYS.len()] };
        at += 1;
    }
    keys
};

/// Somebody who is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Peer {
    /// In lower case.
    pub(super) name: String,
    /// What it is: `postgresql`, `kafka`.
    pub(super) system: Option<String>,
}

impl Peer {
    /// Whom the span of a row names.
    pub(super) fn of(view: &RecordsView<'_>, row: usize) -> Option<Peer> {
        let mut texts: [Option<Cow<'_, str>>; KEYS.len()] = [const { None }; KEYS.len()];
        for (key, value) in view.attributes(row) {
            if let Some(at) = KEYS.iter().position(|known| *known == key) {
                texts[at] = Some(value.text()).filter(|text| !text.is_empty());
            }
        }
        let (names, systems) = texts.split_at(NAME_KEYS.len());
        let system = systems.iter().flatten().next().map(|system| system.to_lowercase());
        let host = |(key, text): (&str, &Option<Cow<'_, str>>)| {
            let text = text.as_deref()?;
            Some(if URL_KEYS.contains(&key) { host_of(authority_of(text)?) } else { text }.to_lowercase())
        };
        let name = NAME_KEYS.into_iter().zip(names).find_map(host).filter(|name| !name.is_empty());
        Some(Peer { name: name.or_else(|| system.clone())?, system })
    }

    /// Whether a service, in lower case, is meant. A database that is named after the service it belongs to is not the service.
    pub(super) fn means(&self, service: &str) -> bool {
        let likeness = likeness(&self.name, service);
        if self.system.is_some() { likeness == 1.0 } else { likeness > 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_named_after_a_service_is_not_the_service() {
        let peer = |name: &str, system: Option<&str>| Peer { name: name.to_owned(), system: system.map(str::to_owned) };
        assert!(peer("orders.shop.svc", None).means("orders"));
        assert!(peer("orders-api", None).means("orders"));
        assert!(!peer("orders-db", Some("postgresql")).means("orders"));
        assert!(peer("orders", Some("kafka")).means("orders"));
        assert!(!peer("10.0.0.7", None).means("orders"));
    }
}
