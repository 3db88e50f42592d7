//! The services of the corpus: who sends spans, who only logs, on which instances, and how wrong their clocks are.

use crate::random::Random;

/// Services that send spans; the first ones face the users.
const TRACED: [&str; 13] = [
    "gateway",
    "web",
    "orders",
    "cart",
    "pricing",
    "payments",
    "stock",
    "shipping",
    "profile",
    "search",
    "recommendations",
    "invoices",
    "auth",
];
/// Services that never heard of tracing. Some are called almost like others.
const LOG_ONLY: [&str; 17] = [
    "legacy-auth",
    "auth-cache",
    "ledger",
    "tax",
    "audit",
    "mailer",
    "geo",
    "fraud-check",
    "price-import",
    "warehouse-bridge",
    "coupons",
    "pdf-render",
    "sms-gateway",
    "loyalty",
    "crm-sync",
    "image-proxy",
    "ledger-archive",
];
const STYLES: [TextStyle; 3] = [TextStyle::Plain, TextStyle::Logfmt, TextStyle::Syslog];
const FRONTS: u64 = 2;
const INSTANCES: u64 = 3;
/// Clocks are of machines.
const MACHINES: u64 = 24;

/// By which door a service's logs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Otlp,
    JsonLines,
    /// Plain lines, in which all stands in the text.
    Text(TextStyle),
}

/// How a service without structured logging writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextStyle {
    /// Time, level and thread in front, as log4j and its kin do.
    Plain,
    /// `key=value` throughout.
    Logfmt,
    /// As RFC 5424 has it.
    Syslog,
}

/// What of a record tells its process from others of the same service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// `service.instance.id` of the resource, as SDKs send it.
    Instance,
    /// `k8s.pod.name` and `k8s.pod.ip` of the resource, as collectors add them.
    Pod,
    /// A `hostname` on each line, as JSON loggers write it.
    Host,
    Nothing,
}

/// A process with a clock.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) machine: String,
    /// What its clock shows more than the true time.
    pub(crate) clock_ns: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) door: Door,
    pub(crate) identity: Identity,
    /// Whether its records name the machine.
    pub(crate) names_machine: bool,
    /// Whether its last line of a request says how long that took.
    pub(crate) says_duration: bool,
    /// Whether each line names its thread; a thread serves one request at a time.
    pub(crate) says_thread: bool,
    pub(crate) instances: Vec<Instance>,
}

/// A service by its place in the fleet, and one of its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) service: usize,
    pub(crate) instance: usize,
}

/// All services of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    services: Vec<Service>,
}

impl Fleet {
    /// Clocks are off by up to `clock_error_ns`, evenly.
    pub(crate) fn of(seed: u64, clock_error_ns: u64) -> Fleet {
        let mut random = Random::of(seed, u64::MAX);
        let mut random_of_texts = Random::of(seed, u64::MAX - 2);
        let clocks: Vec<i64> = (0..MACHINES).map(|_| random.between(0, 2 * clock_error_ns) as i64 - clock_error_ns as i64).collect();
        let mut services = Vec::new();
        for (number, name) in TRACED.into_iter().chain(LOG_ONLY).enumerate() {
            let traced = number < TRACED.len();
            let door = if traced || random.happens(0.4) { Door::Otlp } else { Door::JsonLines };
            let identity = match door {
                Door::Otlp => *random.pick(&[Identity::Instance, Identity::Instance, Identity::Pod]),
                _ => *random.pick(&[Identity::Host, Identity::Host, Identity::Nothing]),
            };
            // Collectors know the node of a pod; SDKs and loggers seldom do.
            let names_machine = random.happens(if identity == Identity::Pod { 1.0 } else { 0.3 });
            // Who ships plain lines does it without a word about the process.
            let (door, identity) = match door {
                Door::JsonLines if random_of_texts.happens(0.4) => (Door::Text(*random_of_texts.pick(&STYLES)), Identity::Nothing),
                door => (door, identity),
            };
            let (says_duration, says_thread) = (random.happens(0.4), random.happens(0.35));
            let instance = |n: u64| {
                let machine = random.below(MACHINES);
                Instance {
                    name: format!("{name}-{:05x}-{n}", random.below(1 << 20)),
                    address: format!("10.{number}.{n}.{}", random.below(250)),
                    machine: format!("node-{machine}"),
                    clock_ns: clocks[machine as usize],
                }
            };
            let instances = (0..INSTANCES).map(instance).collect();
            services.push(Service { name, door, identity, names_machine, says_duration, says_thread, instances });
        }
        Fleet { services }
    }

    pub(crate) fn service(&self, process: Process) -> &Service {
        &self.services[process.service]
    }

    pub(crate) fn instance(&self, process: Process) -> &Instance {
        &self.services[process.service].instances[process.instance]
    }

    pub(crate) fn front(&self, random: &mut Random) -> Process {
        any_instance(random.below(FRONTS) as usize, random)
    }

    /// A service that sends spans, other than those that face the users.
    pub(crate) fn traced(&self, random: &mut Random) -> Process {
        any_instance(random.between(FRONTS, TRACED.len() as u64 - 1) as usize, random)
    }

    pub(crate) fn log_only(&self, random: &mut Random) -> Process {
        any_instance(TRACED.len() + random.below(LOG_ONLY.len() as u64) as usize, random)
    }

    /// Another instance, or the same, of the same service.
    pub(crate) fn sibling(&self, process: Process, random: &mut Random) -> Process {
        any_instance(process.service, random)
    }
}

fn any_instance(service: usize, random: &mut Random) -> Process {
    Process { service, instance: random.below(INSTANCES) as usize }
}
