//! Services that only log: each visit to one becomes a node, under the call that names the service where there is one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use needle_storage::model::{NormalId, RecordId, SpanKind, TraceId, Value};

use super::by_clock::clocks_of_lines;
use super::calls::Calls;
use super::clocks::{Clocks, Usual, likeliest};
use super::close::low_half;
use super::contexts::offer;
use super::fit::{Fit, Lies, Offer, Stay, Wanted, claims as claims_of, fits};
use super::joint;
use super::line::Line;
use super::logs::Groups;
use super::odds::{self, Doubt};
use super::tree::{OfService, Process, Role, Tree, TreeNode};
use super::undecided::{Choice, Placing};
use super::unnamed::{Guest, What};
use crate::answer::Inference;
use crate::limits::CLOCK_ERROR_MAX_NS;

/// Attributes that tell strands of work apart within a process: attempts of a call, threads.
const STRAND_KEYS: [&[&str]; 2] = [
    &["attempt", "retry.attempt", "retry_count", "retry", "http.request.resend_count"],
    &["thread.id", "thread.name", "thread", "thread_name", "thread_id", "threadName"],
];
/// Attributes of a line that say how long a request took, with their units in nanoseconds: access logs and their like.
const TOOK_KEYS: [(&str, f64); 8] = [
    ("duration_ms", 1e6),
    ("elapsed_ms", 1e6),
    ("latency_ms", 1e6),
    ("took_ms", 1e6),
    ("response_time_ms", 1e6),
    ("responseTime", 1e6),
    ("request_time", 1e9),
    ("duration_s", 1e9),
];
/// The keys of attributes that visits are told by.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    STRAND_KEYS.into_iter().flatten().copied().chain(TOOK_KEYS.into_iter().map(|(key, _)| key))
}

/// How often the processes of a service are parted anew.
const APART_ROUNDS_MAX: usize = 2;
/// What whole times are multiples of, the coarsest first.
const RESOLUTIONS_NS: [u64; 3] = [1_000_000_000, 1_000_000, 1_000];

/// Lines that name a span of another service: a visit for each process and span, called from there. Where the process
/// is to be believed, its lines lie in those spans, which tells its clock.
pub(super) fn under_named_spans(tree: &mut Tree, calls: &mut Calls, clocks: &mut Clocks, given: Vec<(usize, Line)>) {
    let mut by_process: BTreeMap<OfService, BTreeMap<usize, Vec<Line>>> = BTreeMap::new();
    for (caller, log) in given {
        let process = (log.source.service.clone(), log.source.process.clone());
        by_process.entry(process).or_default().entry(caller).or_default().push(log);
    }
    for ((service, process), visits) in by_process {
        let known_ns = clocks.offset_ns(&service, &process);
        let offset_ns = known_ns.saturating_add(shift_of_visits(tree, calls, &visits, known_ns));
        if offset_ns != known_ns {
            clocks.learn(&service, &process, offset_ns, 0.6);
        }
        for (caller, logs) in visits {
            let reason =
                format!("no span was received from {service}; its lines name {} as the span that called it", describe(tree, caller));
            let inference = Inference::of(reason, 0.98);
            let node = add_visit(tree, (&service, process.clone()), logs, offset_ns, Some(caller), inference);
            if let Some(call) = calls.at(caller) {
                calls.all[call].callee.get_or_insert(node);
            }
        }
    }
}

/// By how much a clock must be moved for visits to lie in the calls that they name.
fn shift_of_visits(tree: &Tree, calls: &Calls, visits: &BTreeMap<usize, Vec<Line>>, offset_ns: i64) -> i64 {
    let (mut least_ns, mut most_ns) = (i64::MIN, i64::MAX);
    for (caller, logs) in visits {
        let Some(call) = calls.at(*caller).filter(|&call| !calls.all[call].asynchronous) else { continue };
        let (from, to) = calls.all[call].reach(tree);
        for stay in logs.iter().map(|log| stay(log, offset_ns)) {
            least_ns = least_ns.max(from.since(stay.from).saturating_sub(resolution_ns(logs)));
            most_ns = most_ns.min(to.since(stay.to));
        }
    }
    match (least_ns..=most_ns).contains(&0) {
        true => 0,
        // Lines that go on after the answer.
        false if least_ns > most_ns => least_ns.max(0),
        false => likeliest(least_ns, most_ns),
    }
}

/// Places lines under the calls that name their services; those that no call names come back.
pub(super) fn under_calls(tree: &mut Tree, calls: &mut Calls, groups: Groups, clocks: &mut Clocks) -> Vec<Guest> {
    let mut by_service: BTreeMap<Arc<str>, Vec<Group>> = BTreeMap::new();
    for ((traces, service, process), logs) in groups {
        let offset_ns = clocks.offset_ns(&service, &process);
        let usual = clocks.usual(&service, &process);
        let group = Group { traces, service, process, offset_ns, usual, logs };
        by_service.entry(group.service.clone()).or_default().extend(group.by_clock(tree, calls, clocks));
    }
    let mut left = Vec::new();
    for mut groups in by_service.into_values() {
        // One clock after the other: a process that does not say which it is may be several.
        loop {
            let lines: usize = groups.iter().map(|group| group.logs.len()).sum();
            groups = place_together(tree, calls, groups, clocks, &mut left);
            if groups.iter().map(|group| group.logs.len()).sum::<usize>() == lines {
                break;
            }
        }
        left.extend(
            groups
                .into_iter()
                .map(|group| Guest::of_lines(group.traces, group.service, group.process, (group.offset_ns, group.usual), group.logs)),
        );
    }
    left
}

/// Places the lines of the processes of one service so that, taken together, the least is odd; what is left of them.
fn place_together(tree: &mut Tree, calls: &mut Calls, groups: Vec<Group>, clocks: &mut Clocks, guests: &mut Vec<Guest>) -> Vec<Group> {
    // What no process answered can only be told when all have chosen.
    let alone = groups.len() == 1;
    let nothing = BTreeSet::new();
    let mut options: Vec<joint::Options> = groups.iter().map(|group| group.options(tree, calls, alone, &nothing)).collect();
    let mut sharings = joint::choose(&options);
    for _ in 0..APART_ROUNDS_MAX {
        let barred = answered_by_others(&groups, &options, &sharings[0].choices);
        if barred.iter().all(BTreeSet::is_empty) {
            break;
        }
        let apart: Vec<joint::Options> =
            groups.iter().zip(&barred).map(|(group, barred)| group.options(tree, calls, alone, barred)).collect();
        let sharings_apart = joint::choose(&apart);
        if sharings_apart[0].oddities >= sharings[0].oddities {
            break;
        }
        (options, sharings) = (apart, sharings_apart);
    }
    let mut doubts = doubts(&groups, &options, &sharings);
    let mut left = Vec::new();
    for (number, ((mut group, (callers, _, mut fits)), choice)) in groups.into_iter().zip(options).zip(&sharings[0].choices).enumerate() {
        if let Some(choice) = choice {
            let doubts = callers.iter().filter_map(|call| Some((*call, doubts.remove(&(number, *call))?))).collect();
            group.settle(tree, calls, &callers, fits.swap_remove(*choice), clocks, (guests, doubts));
        }
        if !group.logs.is_empty() {
            left.push(group);
        }
    }
    left
}

/// What else may be of each visit, by process and call.
fn doubts(groups: &[Group], options: &[joint::Options], sharings: &[joint::Sharing]) -> BTreeMap<(usize, usize), Doubt> {
    let stays: Vec<Vec<Stay>> = groups.iter().map(|group| group.logs.iter().map(|log| stay(log, group.offset_ns)).collect()).collect();
    let side = |(number, group): (usize, &Group)| odds::Side {
        options: &options[number],
        chosen: sharings[0].choices[number].map(|choice| &options[number].2[choice]),
        stays: &stays[number],
        resolution_ns: resolution_ns(&group.logs),
    };
    let sides: Vec<odds::Side<'_>> = groups.iter().enumerate().map(side).collect();
    odds::doubts(&sides, sharings)
}

/// For each process the calls that another of the service answered more surely: a call has one callee.
fn answered_by_others(groups: &[Group], options: &[joint::Options], chosen: &[Option<usize>]) -> Vec<BTreeSet<usize>> {
    let mut claims: Vec<BTreeMap<usize, (u8, usize)>> = Vec::new();
    for ((group, (callers, offers, fits)), choice) in groups.iter().zip(options).zip(chosen) {
        let stays: Vec<Stay> = group.logs.iter().map(|log| stay(log, group.offset_ns)).collect();
        let of_fit = choice.map(|choice| claims_of(&fits[choice], &stays, offers, resolution_ns(&group.logs))).unwrap_or_default();
        claims.push(of_fit.into_iter().map(|(offer, claim)| (callers[offer], claim)).collect());
    }
    let mut best: BTreeMap<usize, ((u8, usize), usize)> = BTreeMap::new();
    for (process, claims) in claims.iter().enumerate() {
        for (call, claim) in claims {
            let known = best.entry(*call).or_insert((*claim, process));
            if *claim > known.0 {
                *known = (*claim, process);
            }
        }
    }
    let others = |process: usize| best.iter().filter(move |(_, (_, owner))| *owner != process).map(|(call, _)| *call).collect();
    (0..groups.len()).map(others).collect()
}

/// The lines that a call explains.
#[derive(Default)]
struct Visit {
    logs: Vec<Line>,
    /// Whether some go on after it.
    late: bool,
}

/// The lines of one process that no span places.
struct Group {
    traces: BTreeSet<TraceId>,
    service: Arc<str>,
    process: Arc<Process>,
    /// As estimated from spans.
    offset_ns: i64,
    usual: Usual,
    logs: Vec<Line>,
}

impl Group {
    /// The ways to fit the lines into the calls that name the service and that nobody answered yet.
    fn options(&self, tree: &Tree, calls: &Calls, alone: bool, barred: &BTreeSet<usize>) -> joint::Options {
        let ours = |call: &usize| {
            !barred.contains(call) && (self.traces.is_empty() || calls.all[*call].trace_id.is_some_and(|id| self.traces.contains(&id)))
        };
        let named: BTreeSet<usize> = calls.to(&self.service, self.instance()).filter(ours).collect();
        if named.is_empty() {
            return (Vec::new(), Vec::new(), Vec::new());
        }
        let mut callers: Vec<usize> =
            named.iter().copied().chain(calls.unnamed().filter(|&call| !calls.all[call].outward).filter(ours)).collect();
        callers.sort_by_key(|&call| (calls.all[call].reach(tree), call));
        let offers: Vec<Offer> = callers.iter().map(|&call| offer(tree, calls, call, named.contains(&call))).collect();
        let resolution_ns = resolution_ns(&self.logs);
        let to_be_answered = if alone { offers.iter().filter(|offer| offer.needs_answer()).count() } else { 0 };
        let wanted = Wanted { shift_max_ns: CLOCK_ERROR_MAX_NS, resolution_ns, to_be_answered, one_each: false, usual: self.usual };
        let stays: Vec<Stay> = self.logs.iter().map(|log| stay(log, self.offset_ns)).collect();
        let by_line = fits(&stays, &offers, wanted);
        let oddities = |fits: &Vec<Fit>| fits.first().map_or(f64::INFINITY, |fit| fit.oddities);
        let by_strand = STRAND_KEYS.iter().map(|keys| self.fit_strands(|log| strand_of(log, keys), &offers, wanted));
        let by_span = self.fit_strands(|log| log.span_id.map(|span_id| span_id.to_string()), &offers, wanted);
        let fits = by_strand.chain([by_span]).chain([by_line]).min_by(|a, b| oddities(a).total_cmp(&oddities(b)));
        (callers, offers, fits.unwrap_or_default())
    }

    /// The lines of each of several processes that do not say which they are, as far as other journeys tell of their clocks.
    fn by_clock(self, tree: &Tree, calls: &Calls, clocks: &Clocks) -> Vec<Group> {
        let offsets = clocks.several(&self.service, &self.process);
        let mut named: Vec<usize> = calls.to(&self.service, self.instance()).filter(|call| !calls.all[*call].asynchronous).collect();
        named.sort_by_key(|&call| (calls.all[call].reach(tree), call));
        let offers: Vec<Offer> = named.iter().map(|&call| offer(tree, calls, call, true)).collect();
        let stays: Vec<Stay> = self.logs.iter().map(|log| stay(log, 0)).collect();
        let Some(chosen) = clocks_of_lines(&stays, &offers, offsets, resolution_ns(&self.logs)).filter(|_| offsets.len() > 1) else {
            return vec![self];
        };
        let mut parts: BTreeMap<usize, Vec<Line>> = BTreeMap::new();
        for (log, clock) in self.logs.into_iter().zip(chosen) {
            parts.entry(clock).or_default().push(log);
        }
        let part = |(clock, logs): (usize, Vec<Line>)| {
            let (offset_ns, doubt_ns) = offsets[clock];
            let (traces, service, process) = (self.traces.clone(), self.service.clone(), self.process.clone());
            Group { traces, service, process, offset_ns, usual: Usual::within(doubt_ns), logs }
        };
        parts.into_iter().map(part).collect()
    }

    /// Makes visits of the lines that a fit explains, and keeps the others.
    fn settle(
        &mut self,
        tree: &mut Tree,
        calls: &mut Calls,
        callers: &[usize],
        fit: Fit,
        clocks: &mut Clocks,
        (guests, mut doubts): (&mut Vec<Guest>, BTreeMap<usize, Doubt>),
    ) {
        let shift_ns = fit.shift_ns;
        let (by_call, left) = self.visits(fit);
        if shift_ns != 0 && !by_call.is_empty() {
            clocks.learn(&self.service, &self.process, self.offset_ns.saturating_add(shift_ns), 0.4);
        } else if !by_call.is_empty() {
            clocks.confirm(self.offset_ns);
        }
        let named = by_call.keys().any(|&at| calls.all[callers[at]].names.is_some());
        for (at, visit) in by_call {
            if calls.all[callers[at]].names.is_none() {
                // Others may fill that call better.
                let clock = if named || shift_ns == 0 {
                    (self.offset_ns.saturating_add(shift_ns), Usual::default())
                } else {
                    (self.offset_ns, self.usual)
                };
                guests.push(Guest::of_lines(self.traces.clone(), self.service.clone(), self.process.clone(), clock, visit.logs));
                continue;
            }
            let doubt = doubts.remove(&callers[at]).unwrap_or_default();
            self.add_visit(tree, calls, callers[at], visit, (shift_ns, doubt));
        }
        self.logs = left;
    }

    fn instance(&self) -> Option<&String> {
        self.process.instance.as_ref()
    }

    /// Where every line says which strand of work it belongs to: those of one strand are one visit.
    fn fit_strands(&self, strand_of: impl Fn(&Line) -> Option<String>, offers: &[Offer], wanted: Wanted) -> Vec<Fit> {
        let Some(strands) = self.logs.iter().map(strand_of).collect::<Option<Vec<String>>>() else { return Vec::new() };
        let mut stays: BTreeMap<&str, Stay> = BTreeMap::new();
        for (strand, log) in strands.iter().zip(&self.logs) {
            let line = stay(log, self.offset_ns);
            let whole = stays.entry(strand).or_insert(line);
            *whole = Stay { from: whole.from.min(line.from), to: whole.to.max(line.to) };
        }
        let (names, stays): (Vec<&str>, Vec<Stay>) = stays.into_iter().unzip();
        let of_lines = |fit: Fit| {
            let place_of: BTreeMap<&str, (usize, Lies)> = names.iter().copied().zip(fit.places).collect();
            Fit { places: strands.iter().map(|strand| place_of[strand.as_str()]).collect(), ..fit }
        };
        fits(&stays, offers, Wanted { one_each: true, ..wanted }).into_iter().map(of_lines).collect()
    }

    /// The lines of each call, and those that no call explains.
    fn visits(&mut self, fit: Fit) -> (BTreeMap<usize, Visit>, Vec<Line>) {
        let mut by_call: BTreeMap<usize, Visit> = BTreeMap::new();
        let mut left = Vec::new();
        for (log, (at, lies)) in std::mem::take(&mut self.logs).into_iter().zip(fit.places) {
            if lies == Lies::Elsewhere {
                left.push(log);
                continue;
            }
            let visit = by_call.entry(at).or_default();
            visit.logs.push(log);
            visit.late |= lies == Lies::Late;
        }
        (by_call, left)
    }

    fn add_visit(&self, tree: &mut Tree, calls: &mut Calls, call: usize, Visit { logs, late }: Visit, (shift_ns, doubt): (i64, Doubt)) {
        let caller = calls.all[call].node;
        let (who, likeness) = match &calls.all[call].names {
            Some(named) => (format!("{} names it ({})", describe(tree, caller), named.peer), named.likeness),
            None => (format!("{} is a call that nobody else answered", describe(tree, caller)), 0.6),
        };
        let what = format!("no span was received from {}", self.service);
        let (how, confidence) = match (shift_ns, late) {
            (0, false) if calls.all[call].asynchronous => (" and came before its lines".to_owned(), 0.95),
            (0, false) => (" and encloses its lines".to_owned(), 0.98),
            (0, true) => (", and its lines go on after the call returned".to_owned(), 0.95),
            _ => {
                (format!("; its lines fit if its clock is moved by {:+.1} ms", self.offset_ns.saturating_add(shift_ns) as f64 / 1e6), 0.95)
            }
        };
        let offset_ns = self.offset_ns.saturating_add(shift_ns);
        let choices: Vec<Choice> = std::iter::once((call, 1.0))
            .chain(doubt.rivals.iter().map(|(rival, weight)| (*rival, *weight)))
            .map(|(call, weight)| Choice { node: calls.all[call].node, weight })
            .collect();
        // A name that is like the service's means it nearly always.
        let confidence = confidence * (1.0 + likeness) / 2.0 * doubt.probability();
        let why = weakened(Inference::of(format!("{what}; {who}{how}"), confidence), &logs, &self.traces);
        let node = add_visit(tree, (&self.service, self.process.clone()), logs, offset_ns, None, Inference::default());
        Placing { choices, what, why }.put(tree, node);
        calls.all[call].callee = Some(node);
    }
}

/// How many strands of work lines name; those that name none are one.
pub(super) fn strands(lines: &[Line]) -> usize {
    STRAND_KEYS.iter().map(|keys| lines.iter().map(|line| strand_of(line, keys)).collect::<BTreeSet<_>>().len()).max().unwrap_or(1)
}

/// The strand of work that a line names.
fn strand_of(log: &Line, keys: &[&str]) -> Option<String> {
    let of_key = |key: &&str| log.attributes.iter().find(|(name, _)| name == key).map(|(_, value): &(String, Value)| value.text());
    keys.iter().find_map(of_key)
}

/// When a line was written; from when on it worked, if it says how long it took.
pub(super) fn stay(log: &Line, offset_ns: i64) -> Stay {
    let to = log.time.saturating_add_signed(offset_ns);
    Stay { from: to.saturating_add_signed(-took_ns(log).unwrap_or(0)), to }
}

/// How long a line says that a request took, nanoseconds.
fn took_ns(log: &Line) -> Option<i64> {
    let of_key = |(key, unit_ns): &(&str, f64)| {
        let (_, value) = log.attributes.iter().find(|(name, _)| name == key)?;
        value.text().parse::<f64>().ok().filter(|took| (0.0..1e9).contains(took)).map(|took| (took * unit_ns) as i64)
    };
    TOOK_KEYS.iter().find_map(of_key)
}

/// What the clock of these lines cannot tell apart: loggers cut times to microseconds, milliseconds, or seconds.
pub(super) fn resolution_ns(logs: &[Line]) -> i64 {
    let whole = |unit: &u64| logs.iter().all(|log| log.time.0.is_multiple_of(*unit));
    RESOLUTIONS_NS.into_iter().find(whole).map_or(0, |unit| unit as i64)
}

/// An inference about lines that only the 64-bit form of a trace id joins is less sure.
pub(super) fn weakened(mut inference: Inference, logs: &[Line], traces: &BTreeSet<TraceId>) -> Inference {
    if logs.iter().all(|log| joined_by_low_half(log, traces)) {
        inference.reason.push_str("; only the low 64 bits of the trace id join them");
        inference.confidence *= 0.8;
    }
    inference
}

/// Whether a log belongs to the traces by nothing but the 64-bit form of a trace id.
fn joined_by_low_half(log: &Line, traces: &BTreeSet<TraceId>) -> bool {
    let halves: BTreeSet<NormalId> = traces.iter().filter_map(|trace_id| low_half(&NormalId::of_trace(*trace_id))).collect();
    let ids = &log.source.ids;
    log.trace_id.is_none() && !ids.is_empty() && ids.iter().all(|id| halves.contains(id))
}

/// The logs of services that no span places, one node for each service, as the senders sent them: nothing is inferred.
pub(super) fn as_they_are(tree: &mut Tree, logs: Vec<Line>) {
    let mut by_service: BTreeMap<Arc<str>, Vec<Line>> = BTreeMap::new();
    for log in logs {
        by_service.entry(log.source.service.clone()).or_default().push(log);
    }
    tree.nodes.extend(by_service.into_iter().map(|(service, logs)| lines_node(logs, &service, Arc::default(), 0)));
}

/// Adds the node of a visit.
pub(super) fn add_visit(
    tree: &mut Tree,
    (service, process): (&Arc<str>, Arc<Process>),
    logs: Vec<Line>,
    offset_ns: i64,
    parent: Option<usize>,
    inference: Inference,
) -> usize {
    let mut node = lines_node(logs, service, process, offset_ns);
    node.parent = parent;
    node.inferred = Some(inference);
    tree.nodes.push(node);
    tree.nodes.len() - 1
}

fn lines_node(logs: Vec<Line>, service: &Arc<str>, process: Arc<Process>, offset_ns: i64) -> TreeNode {
    TreeNode {
        role: Role::Lines,
        span: None,
        trace_id: None,
        span_id: None,
        service: service.clone(),
        process,
        kind: SpanKind::default(),
        start: logs.iter().map(|log| log.time).min().unwrap_or_default(),
        end: logs.iter().map(|log| log.time).max().unwrap_or_default(),
        offset_ns,
        parent: None,
        flags: Vec::new(),
        inferred: None,
        candidates: Vec::new(),
        first_record: logs.iter().map(|log| log.record_id).min().unwrap_or(RecordId(0)),
        lines: logs,
    }
}

/// Without any span, the service that logged for the longest time holds the others whose lines lie within its own, but
/// for what a clock may be off.
pub(super) fn without_spans(tree: &mut Tree, guests: Vec<Guest>) {
    let longest = |guest: &&Guest| (Reverse(guest.length_ns()), guest.from, guest.service.clone(), guest.process.clone());
    let Some((from, to)) = guests.iter().min_by_key(longest).map(|guest| (guest.from, guest.to)) else { return };
    let (mut host, mut within) = (None, Vec::new());
    for guest in guests {
        let (core_from, core_to) = guest.core();
        let holds = from <= core_from && core_to <= to && guest.length_ns() < to.since(from);
        let is_host = host.is_none() && (guest.from, guest.to) == (from, to);
        let What::Lines(logs) = guest.what else { continue };
        let inference = Inference::of("no span was received; its lines carry the id".to_owned(), 0.7);
        let node = add_visit(tree, (&guest.service, guest.process), logs, 0, None, inference);
        if is_host {
            host = Some(node);
        } else if holds {
            within.push(node);
        }
    }
    let Some(host) = host else { return };
    let reason = format!("no span was received; its lines lie between the first and the last line of {}", tree.nodes[host].service);
    for node in within {
        tree.nodes[node].parent = Some(host);
        tree.nodes[node].inferred = Some(Inference::of(reason.clone(), 0.7));
    }
}

pub(super) fn describe(tree: &Tree, index: usize) -> String {
    let node = &tree.nodes[index];
    let name = node.span.as_ref().map_or("", |span| &*span.name);
    format!("{}'s {} span \"{name}\"", node.service, node.kind.name())
}
