//! What the services say: sentences with numbers, paths and names in them.

use super::random::Random;

/// How bad, as OTLP numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Debug,
    Info,
    Warn,
    Error,
}

impl Severity {
    pub(crate) fn number(self) -> i32 {
        match self {
            Severity::Debug => 5,
            Severity::Info => 9,
            Severity::Warn => 13,
            Severity::Error => 17,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Severity::Debug => "DEBUG",
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
        }
    }

    pub(crate) fn any(random: &mut Random) -> Severity {
        match random.below(100) {
            0..12 => Severity::Debug,
            12..90 => Severity::Info,
            90..96 => Severity::Warn,
            _ => Severity::Error,
        }
    }

    fn sentences(self) -> &'static [&'static str] {
        match self {
            Severity::Debug => &DEBUG,
            Severity::Info => &INFO,
            Severity::Warn => &WARN,
            Severity::Error => &ERROR,
        }
    }
}

/// In about a third of all records.
pub(crate) const COMMON_WORD: &str = "request";
/// Nothing else says it.
pub(crate) const RARE_WORD: &str = "brownout";
/// Finds the records with the rare word, by what is no whole word.
pub(crate) const RARE_EXPRESSION: &str = "r[eo]wnout on feeder [0-9]+ .*after [0-9]+ms";
/// So many of `RARE_RECORDS` records say the rare word.
pub(crate) const RARE_HITS: u64 = 38;
pub(crate) const RARE_RECORDS: u64 = 2_000_000;
/// The first comes early, so that few records have one too.
const RARE_AHEAD: u64 = 50_000;

/// Whether the record of this number says the rare word.
pub(crate) fn is_rare(record: u64) -> bool {
    let rare_until = |end: u64| (end + RARE_AHEAD) * RARE_HITS / RARE_RECORDS;
    rare_until(record + 1) != rare_until(record)
}

/// Whether a text says the common word.
pub(crate) fn is_common(body: &str) -> bool {
    body.split(|character: char| !character.is_alphanumeric()).any(|word| word == COMMON_WORD)
}

pub(crate) fn rare(random: &mut Random) -> String {
    format!("brownout on feeder {} survived by rack {} after {}ms", random.below(40), random.below(12), random.between(20, 900))
}

/// What a sentence may speak of.
#[derive(Debug)]
pub(crate) struct Subject<'journey> {
    pub(crate) path: &'journey str,
    pub(crate) method: &'journey str,
    pub(crate) user: u64,
    pub(crate) order: u64,
}

/// Which sentence, for where it stands in the code, and its text.
pub(crate) fn say(severity: Severity, subject: &Subject, random: &mut Random) -> (u64, String) {
    let sentences = severity.sentences();
    let number = random.below(sentences.len() as u64);
    (number, fill(sentences[number as usize], subject, random))
}

fn fill(sentence: &str, subject: &Subject, random: &mut Random) -> String {
    let mut body = String::with_capacity(sentence.len() + 24);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a sentence closes its braces");
        body.push_str(before);
        body.push_str(&value(name, subject, random));
        rest = after;
    }
    body.push_str(rest);
    body
}

fn value(name: &str, subject: &Subject, random: &mut Random) -> String {
    match name {
        "path" => subject.path.to_owned(),
        "method" => subject.method.to_owned(),
        "user" => subject.user.to_string(),
        "order" => subject.order.to_string(),
        "few" => random.between(1, 9).to_string(),
        "count" => random.below(500).to_string(),
        "bytes" => random.below(20_000).to_string(),
        "ms" => format!("{}.{}", random.exponential(40.0) as u64, random.below(10)),
        "host" => format!("{}-{}.shop.internal", random.pick(&HOSTS), random.below(12)),
        "item" => format!("SKU-{:05}", random.below(20_000)),
        "price" => format!("{}.{:02}", random.below(300), random.below(100)),
        "topic" => (*random.pick(&TOPICS)).to_owned(),
        "table" => (*random.pick(&TABLES)).to_owned(),
        _ => panic!("a sentence speaks of {name}, which nobody fills in"),
    }
}

const HOSTS: [&str; 10] = ["db", "cache", "queue", "stock", "pay", "mail", "search", "auth", "ledger", "cdn"];
const TOPICS: [&str; 8] =
    ["orders.created", "orders.paid", "stock.changed", "mail.outbox", "audit.events", "price.updates", "cart.expired", "users.changed"];
const TABLES: [&str; 8] = ["orders", "order_items", "users", "products", "prices", "sessions", "payments", "stock_levels"];

const DEBUG: [&str; 10] = [
    "cache lookup for {item} took {ms} ms, {count} entries in the shard",
    "parsed {bytes} bytes of JSON from {host} in {ms} ms",
    "pool on {host} has {few} idle and {count} busy connections",
    "feature flags for user {user} resolved to variant {few}",
    "query plan for {table} uses index {table}_pkey, cost {price}",
    "serialised response for request {method} {path}, {bytes} bytes",
    "token of user {user} is valid for another {count} minutes",
    "lock on cart {order} taken after {ms} ms",
    "retry budget for {host} is at {few} of 10",
    "trace sampler kept request {path} with probability 0.{count}",
];

const INFO: [&str; 30] = [
    "request {method} {path} finished in {ms} ms with {bytes} bytes for user {user}",
    "request {method} {path} accepted from user {user}, {count} requests under way",
    "request routed to {host} in {ms} ms after {few} candidates were looked at",
    "request body of {bytes} bytes validated in {ms} ms",
    "handled request for order {order}: {few} items, total {price} EUR",
    "finished request {path} for tenant shop after {ms} ms, queue depth {count}",
    "upstream request to {host} answered in {ms} ms",
    "request to {host} for {path} succeeded on attempt {few} in {ms} ms",
    "scheduled request {method} {path} behind {count} others",
    "user {user} signed in from a known device, session expires in {count} minutes",
    "cart {order} now holds {few} items worth {price} EUR",
    "added {item} to cart {order} at {price} EUR, {count} left in stock",
    "order {order} placed by user {user}: {few} items, {price} EUR",
    "payment of {price} EUR for order {order} authorised by {host} in {ms} ms",
    "reserved {few} of {item} for order {order}, {count} remain on shelf",
    "shipment for order {order} handed to carrier {few}, weight {count} g",
    "price of {item} recalculated from {price} to {price} EUR by rule {count}",
    "search for {count} terms returned {count} products in {ms} ms from {host}",
    "fetched {count} rows from {table} in {ms} ms",
    "inserted {few} rows into {table} on {host} in {ms} ms, transaction {bytes}",
    "updated {count} rows of {table} where order_id is {order}",
    "published event {topic} at offset {bytes} of partition {few} in {ms} ms",
    "consumed {count} events from {topic}, lag is {count}",
    "rendered page {path} from {few} templates in {ms} ms",
    "thumbnail of {item} scaled to {bytes} bytes in {ms} ms",
    "mail about order {order} queued for user {user} as number {bytes}",
    "coupon for user {user} redeemed, {price} EUR off order {order}",
    "recommendations for user {user}: {few} models, {count} candidates, {ms} ms",
    "session of user {user} refreshed on {host}, {count} sessions active",
    "tax of {price} EUR computed for order {order} in region {few}",
];

const WARN: [&str; 10] = [
    "slow query on {table}: {count} rows took {ms} ms on {host}",
    "retrying call to {host} after timeout, attempt {few} of 9, waited {ms} ms",
    "stock of {item} is low: {few} left, {count} expected by tomorrow",
    "rate limit of user {user} nearly reached: {count} of 500 in this minute",
    "cache miss storm on {host}: {count} misses in {ms} ms",
    "response of {host} for {path} is larger than usual: {bytes} bytes",
    "connection to {host} closed by peer after {bytes} bytes, reconnecting",
    "deprecated field in request {method} {path} from user {user}",
    "clock of {host} differs by {ms} ms",
    "queue {topic} is {count} events behind for {few} minutes",
];

const ERROR: [&str; 10] = [
    "request {method} {path} failed after {ms} ms: upstream {host} refused the connection",
    "payment for order {order} declined by {host}: code {count}",
    "timeout after {ms} ms while reading {bytes} bytes from {host}",
    "could not reserve {few} of {item} for order {order}: only {count} left",
    "deadlock on {table} detected by {host}, transaction {bytes} rolled back",
    "unhandled exception in handler of {path}: index {count} out of range",
    "invalid signature on webhook from {host} for order {order}",
    "failed to publish {topic} to partition {few}: not leader, epoch {count}",
    "mail to user {user} bounced from {host} with status 55{few}",
    "circuit breaker for {host} opened after {count} failures in {ms} ms",
];
