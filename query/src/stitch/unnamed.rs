//! Guests that no call names: visits of services that only log, and traces begun anew. Only time tells whose they are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use needle_storage::model::{SpanId, SpanKind, TraceId, UnixNanos};

use super::calls::Calls;
use super::clocks::{Clocks, Usual};
use super::contexts::offer;
use super::cover::{Window, cover};
use super::enclose::{Sweep, is_above};
use super::fit::{Lies, Offer, Wanted, fit};
use super::line::{Line, of_one_span};
use super::logs::Context;
use super::logs_only::{add_visit, describe, resolution_ns, stay, weakened, without_spans};
use super::tree::{OfService, Process, Role, Tree, TreeNode};
use super::undecided::{Choice, Placing, above_all};
use crate::answer::Inference;
use crate::limits::{LATE_MAX_NS, UNNAMED_CALLS_MAX, UNNAMED_CLOCK_ERROR_MAX_NS, VISIT_GAP_NS};

/// What no sender placed.
pub(super) struct Guest {
    pub(super) service: Arc<str>,
    pub(super) process: Arc<Process>,
    /// The traces it belongs to; of a root its own.
    pub(super) traces: BTreeSet<TraceId>,
    /// By the estimated clock.
    pub(super) from: UnixNanos,
    pub(super) to: UnixNanos,
    pub(super) offset_ns: i64,
    pub(super) resolution_ns: i64,
    /// What may be expected of its clock beyond that.
    pub(super) usual: Usual,
    pub(super) what: What,
}

pub(super) enum What {
    /// Of one process, in time order.
    Lines(Vec<Line>),
    /// The first span of a trace, by node.
    Root(usize),
}

impl Guest {
    pub(super) fn of_lines(
        traces: BTreeSet<TraceId>,
        service: Arc<str>,
        process: Arc<Process>,
        (offset_ns, usual): (i64, Usual),
        logs: Vec<Line>,
    ) -> Guest {
        let stays = || logs.iter().map(|log| stay(log, offset_ns));
        let from = stays().map(|stay| stay.from).min().unwrap_or_default();
        let (to, resolution_ns) = (stays().map(|stay| stay.to).max().unwrap_or_default(), resolution_ns(&logs));
        Guest { service, process, traces, from, to, offset_ns, resolution_ns, usual, what: What::Lines(logs) }
    }

    pub(super) fn length_ns(&self) -> i64 {
        self.to.since(self.from)
    }

    /// How far its clock may be off: of several known ones that agree not at all, and else as far as they are.
    fn shift_max_ns(&self) -> i64 {
        let Usual { middle_ns, spread_ns, .. } = self.usual;
        if self.usual.agree() {
            return self.resolution_ns;
        }
        UNNAMED_CLOCK_ERROR_MAX_NS.max(middle_ns.saturating_abs().saturating_add(spread_ns))
    }

    /// What counts of it where clocks may be off a little: lines without the sixths at both ends.
    pub(super) fn core(&self) -> (UnixNanos, UnixNanos) {
        match self.what {
            What::Lines(_) => {
                let edge_ns = self.length_ns() / 6;
                (self.from.saturating_add_signed(edge_ns), self.to.saturating_add_signed(-edge_ns))
            }
            What::Root(_) => (self.from, self.to),
        }
    }
}

/// Places the guests, those that fill a call best first.
pub(super) fn place(tree: &mut Tree, context: &Context, calls: &mut Calls, mut guests: Vec<Guest>, clocks: &mut Clocks) {
    if context.spans_of.is_empty() {
        return without_spans(tree, guests);
    }
    // What calls told of clocks since the guests were left.
    clocks.count_heard();
    for guest in guests.iter_mut().filter(|guest| guest.offset_ns == 0) {
        guest.usual = clocks.usual(&guest.service, &guest.process);
    }
    let mut hosts = Hosts { tree, context, calls, clocks };
    let guests = hosts.part(guests);
    let guests = hosts.take_in(guests);
    let guests = hosts.divide(guests);
    hosts.lodge_by_time(guests);
}

/// Trips through the network, and the time in which nobody writes, make what fills a call by so much no worse: a part of what a
/// guest is long, between two bounds.
const SLACK_SHARE: i64 = 20;
const SLACK_MIN_NS: i64 = 10_000;
const SLACK_MAX_NS: i64 = 1_000_000;
/// What is less likely by more is not worth naming.
const WEIGHT_MIN: f64 = 0.02;

struct Hosts<'a> {
    tree: &'a mut Tree,
    context: &'a Context,
    calls: &'a mut Calls,
    clocks: &'a mut Clocks,
}

/// The least is preferred.
type Preference = (u8, bool, i64, usize, usize);

/// A guest and a call that can hold it.
struct Pair {
    guest: usize,
    call: usize,
    shift_ns: i64,
    /// Whether it goes on after the call, but not for long.
    late: bool,
    /// Whether nobody was known to have answered the call before guests were taken in.
    open: bool,
    /// A callee is at work for the whole of its call but for the network: what fills a call best belongs to it. And how far
    /// off its clock would be.
    cost_ns: i64,
    /// By so much costs may differ without a meaning.
    slack_ns: i64,
    /// Whether its clock would be off farther than others.
    odd_clock: bool,
    /// Whether its clock may be off at all without being odd. Where clocks are right, what fills a call best is decided.
    clock_in_doubt: bool,
}

impl Pair {
    /// How likely another call is against this one, as far as the room that they leave tells.
    fn likelier_than(&self, other: &Pair) -> f64 {
        self.cost_ns.max(0).saturating_add(self.slack_ns) as f64 / other.cost_ns.max(0).saturating_add(self.slack_ns) as f64
    }
}

/// A guest that was taken in.
struct Taken {
    pair: usize,
    node: usize,
}

impl Hosts<'_> {
    /// Parts lines that several calls nobody answered explain by less waiting than one does: each of them is a visit.
    fn part(&self, guests: Vec<Guest>) -> Vec<Guest> {
        let waits = |call: &usize| !self.calls.all[*call].asynchronous;
        let unanswered: Vec<usize> = self.calls.unnamed().filter(waits).collect();
        guests.into_iter().flat_map(Guest::by_span).flat_map(|guest| self.parted(guest, &unanswered)).collect()
    }

    /// How long after a call a guest may go on without doubt about its clock. What did not fit into the calls that name it
    /// has a clock that is off, or a call that is missing.
    fn late_max_ns(&self, guest: &Guest) -> i64 {
        match guest.what {
            What::Lines(_) if !self.calls.name(&guest.service) => LATE_MAX_NS,
            _ => 0,
        }
    }

    fn parted(&self, guest: Guest, unanswered: &[usize]) -> Vec<Guest> {
        let What::Lines(logs) = &guest.what else { return vec![guest] };
        let late_max_ns = self.late_max_ns(&guest);
        if late_max_ns == 0 || of_one_span(logs) {
            return vec![guest];
        }
        let held = |late_ns_max: i64| {
            let window = |&call: &usize| {
                let (from, to) = self.calls.all[call].reach(self.tree);
                (from.saturating_add_signed(-guest.resolution_ns), to.saturating_add_signed(late_ns_max))
            };
            unanswered.iter().filter(|call| self.may_hold(**call, &guest)).map(window).collect::<Vec<Window>>()
        };
        let times: Vec<UnixNanos> = logs.iter().map(|log| stay(log, guest.offset_ns).to).collect();
        match cover(&times, &held(0)).or_else(|| cover(&times, &held(late_max_ns))) {
            Some(places) => by_place(logs.clone(), places.into_iter()).into_values().map(|part| guest.with(part)).collect(),
            None => vec![guest],
        }
    }

    /// Puts guests into calls that nobody answered, each into the one that it fills best. What lies in a call that a
    /// log-only service answered was called by that service: a call has one callee. The others come back.
    fn take_in(&mut self, guests: Vec<Guest>) -> Vec<Guest> {
        let pairs = self.pairs(&guests);
        let mut next: BinaryHeap<Reverse<(Preference, usize)>> =
            pairs.iter().enumerate().map(|(number, pair)| Reverse((self.preference(&guests[pair.guest], pair), number))).collect();
        let mut waiting: Vec<Option<Guest>> = guests.into_iter().map(Some).collect();
        let mut taken: Vec<Taken> = Vec::new();
        while let Some(Reverse((preference, number))) = next.pop() {
            let pair = &pairs[number];
            let Some(guest) = &waiting[pair.guest] else { continue };
            // The call may have been answered since.
            let now = self.preference(guest, pair);
            if now > preference {
                next.push(Reverse((now, number)));
                continue;
            }
            let Some((host, reason, confidence)) = self.host_in(guest, pair) else { continue };
            let guest = waiting[pair.guest].take().expect("it was looked at just now");
            let node = self.lodge(guest, host, pair.shift_ns, reason, confidence);
            self.calls.all[pair.call].callee.get_or_insert(node);
            taken.push(Taken { pair: number, node });
        }
        self.doubt(&pairs, &taken);
        waiting.into_iter().flatten().collect()
    }

    /// Guests that fill other calls about as well, alone or in exchange with who is there, are not decided.
    fn doubt(&mut self, pairs: &[Pair], taken: &[Taken]) {
        let mut of_guest: BTreeMap<usize, Vec<&Pair>> = BTreeMap::new();
        pairs.iter().for_each(|pair| of_guest.entry(pair.guest).or_default().push(pair));
        let mut in_call: BTreeMap<usize, Vec<&Pair>> = BTreeMap::new();
        taken.iter().for_each(|taken| in_call.entry(pairs[taken.pair].call).or_default().push(&pairs[taken.pair]));
        let found: Vec<(usize, Vec<Choice>)> = taken
            .iter()
            .filter(|taken| pairs[taken.pair].clock_in_doubt)
            .map(|taken| {
                let own = &pairs[taken.pair];
                let mut choices = vec![Choice { node: self.tree.nodes[taken.node].parent.unwrap_or(taken.node), weight: 1.0 }];
                // A clock is not doubted for the sake of another call.
                let comparable = |rival: &&&Pair| rival.call != own.call && rival.open && own.open && rival.odd_clock <= own.odd_clock;
                for rival in of_guest[&own.guest].iter().filter(comparable) {
                    let node = self.calls.all[rival.call].node;
                    let exchanged = match in_call.get(&rival.call).map(Vec::as_slice) {
                        None if self.calls.all[rival.call].callee.is_none() => 1.0,
                        Some([other]) => {
                            let back = of_guest[&other.guest].iter().find(|pair| pair.call == own.call);
                            back.map_or(0.0, |back| other.likelier_than(back))
                        }
                        _ => continue,
                    };
                    let weight = own.likelier_than(rival) * exchanged * self.credible(rival) / self.credible(own);
                    let may_be = node != taken.node && self.tree.root_of(node) == self.tree.root_of(choices[0].node);
                    if weight >= WEIGHT_MIN && may_be && !is_above(self.tree, taken.node, node) {
                        choices.push(Choice { node, weight });
                    }
                }
                (taken.node, choices)
            })
            .collect();
        for (node, choices) in found {
            let Some(mut why) = self.tree.nodes[node].inferred.take() else { continue };
            why.confidence /= choices.iter().map(|choice| choice.weight).sum::<f64>();
            let what = what_is_placed(&self.tree.nodes[node]);
            Placing { choices, what, why }.put(self.tree, node);
        }
    }

    /// How much less likely a call is by its kind: whoever answers in the internet is seldom one of us.
    fn credible(&self, pair: &Pair) -> f64 {
        let outward = if self.calls.all[pair.call].outward { 0.1 } else { 1.0 };
        let late = if pair.late { 0.5 } else { 1.0 };
        outward * late
    }

    /// A call that nobody answered is believed first; to doubt a clock so that a service that only logs has called, last.
    fn preference(&self, guest: &Guest, pair: &Pair) -> Preference {
        let call = &self.calls.all[pair.call];
        let excess_ns = guest.usual.excess_ns(pair.shift_ns);
        let doubt = match call.callee {
            None if excess_ns == 0 && !pair.late && !call.outward => 0,
            // Where clocks are right, what fills it tells more than who else answered it.
            Some(_) if pair.open && pair.shift_ns == 0 && guest.usual.spread_ns == 0 => 0,
            Some(_) if excess_ns != 0 => 2,
            _ => 1,
        };
        (doubt, call.asynchronous, pair.cost_ns, pair.guest, pair.call)
    }

    fn pairs(&self, guests: &[Guest]) -> Vec<Pair> {
        let answered_by_lines = |call: &usize| self.calls.all[*call].callee.is_some_and(|node| self.tree.nodes[node].role == Role::Lines);
        let open: BTreeSet<usize> = self.calls.unnamed().collect();
        let mut usable: Vec<usize> = (0..self.calls.all.len()).filter(|call| open.contains(call) || answered_by_lines(call)).collect();
        usable.sort_by_key(|&call| (self.calls.all[call].reach(self.tree), call));
        let offers: Vec<Offer> = usable.iter().map(|&call| offer(self.tree, self.calls, call, true)).collect();
        let mut pairs = Vec::new();
        for (number, guest) in guests.iter().enumerate() {
            let late_max_ns = self.late_max_ns(guest);
            let begun = offers.partition_point(|offer| offer.from.since(guest.from) <= guest.shift_max_ns());
            for at in begun.saturating_sub(UNNAMED_CALLS_MAX)..begun {
                let Some((shift_ns, room_ns)) = held(guest, offers[at], late_max_ns).filter(|_| self.may_hold(usable[at], guest)) else {
                    continue;
                };
                // Of a call that somebody else answered, a part of the guest must lie in it by any clock.
                let open = open.contains(&usable[at]);
                if open || guest.usual.excess_ns(shift_ns) == 0 || shift_ns.saturating_abs() < guest.length_ns() {
                    let late = shift_ns == 0 && guest.to > offers[at].to;
                    // A guest that is as long as its call tells more than how far off its clock is, where clocks are off.
                    let away_ns = guest.usual.distance_ns(shift_ns);
                    let away_ns = if guest.usual.spread_ns == 0 { away_ns.saturating_mul(2) } else { away_ns / 10 };
                    let cost_ns = room_ns.saturating_add(away_ns);
                    let slack_ns = (guest.length_ns() / SLACK_SHARE).clamp(SLACK_MIN_NS, SLACK_MAX_NS);
                    let (odd_clock, clock_in_doubt) = (guest.usual.excess_ns(shift_ns) != 0, guest.usual.spread_ns > 0);
                    pairs.push(Pair {
                        guest: number,
                        call: usable[at],
                        shift_ns,
                        late,
                        open,
                        cost_ns,
                        slack_ns,
                        odd_clock,
                        clock_in_doubt,
                    });
                }
            }
        }
        pairs
    }

    /// Whether a call is of the guest's request, and not of the guest itself.
    fn may_hold(&self, call: usize, guest: &Guest) -> bool {
        let call = &self.calls.all[call];
        match guest.what {
            What::Lines(_) => guest.traces.is_empty() || call.trace_id.is_some_and(|trace_id| guest.traces.contains(&trace_id)),
            What::Root(_) => {
                let of_request =
                    |own: &TraceId| call.trace_id.is_some_and(|trace_id| trace_id != *own && self.context.related(trace_id, *own));
                guest.traces.first().is_some_and(of_request)
            }
        }
    }

    /// The node in a call that a guest belongs under.
    fn host_in(&self, guest: &Guest, pair: &Pair) -> Option<(usize, String, f64)> {
        let call = &self.calls.all[pair.call];
        if let What::Root(root) = guest.what
            && self.tree.root_of(call.node) == root
        {
            return None;
        }
        let moved =
            if pair.shift_ns == 0 { String::new() } else { format!(", if its clock is moved by {:+.1} ms", pair.shift_ns as f64 / 1e6) };
        let sure = if guest.usual.excess_ns(pair.shift_ns) == 0 { 1.0 } else { 0.8 };
        let caller = describe(self.tree, call.node);
        match call.callee {
            None if call.asynchronous => {
                Some((call.node, format!("it comes after {caller}, a message that nobody else took{moved}"), 0.8 * sure))
            }
            None => Some((call.node, format!("it lies within {caller}, a call that nobody else answered{moved}"), 0.93 * sure)),
            Some(callee) if self.tree.nodes[callee].role != Role::Lines => None,
            // Another instance, or another clock: the service does not call itself.
            Some(callee) if self.tree.nodes[callee].service == guest.service => {
                Some((call.node, format!("it lies within {caller}, which the same service answered{moved}"), 0.3 * sure))
            }
            Some(callee) => {
                let host = self.innermost_visit(callee, guest, pair.shift_ns);
                let service = &self.tree.nodes[host].service;
                // Of those whose clock had to be moved for it, two in three were right (`make journeys`).
                let confidence = if pair.shift_ns == 0 { 0.87 } else { 0.66 };
                Some((host, format!("it lies within {caller}, which {service} answered and so called it{moved}"), confidence * sure))
            }
        }
    }

    /// Of a visit and the visits it made, the innermost that is longer than the guest and that most of the guest lies in.
    fn innermost_visit(&self, visit: usize, guest: &Guest, shift_ns: i64) -> usize {
        let (from, to) = (guest.from.saturating_add_signed(shift_ns), guest.to.saturating_add_signed(shift_ns));
        let mut host = visit;
        // Visits are added after their callers.
        for index in visit + 1..self.tree.nodes.len() {
            let node = &self.tree.nodes[index];
            let shared_ns = to.min(node.placed_end()).since(from.max(node.placed_start()));
            let holds = node.end.since(node.start) >= guest.length_ns() && shared_ns >= guest.length_ns() / 2 && shared_ns >= 0;
            if node.parent == Some(host) && node.role == Role::Lines && holds {
                host = index;
            }
        }
        host
    }

    /// Lines of several visits do not fit into one call: each goes into one of its own, if all of them do.
    fn divide(&mut self, guests: Vec<Guest>) -> Vec<Guest> {
        let mut left = Vec::new();
        for mut guest in guests {
            let logs = match &mut guest.what {
                What::Lines(logs) if !of_one_span(logs) => logs,
                _ => {
                    left.push(guest);
                    continue;
                }
            };
            let logs = std::mem::take(logs);
            let mut open: Vec<usize> = self.calls.unnamed().collect();
            open.retain(|&call| self.may_hold(call, &guest));
            open.sort_by_key(|&call| (self.calls.all[call].reach(self.tree), call));
            let offers: Vec<Offer> = open.iter().map(|&call| offer(self.tree, self.calls, call, true)).collect();
            let stays: Vec<_> = logs.iter().map(|log| stay(log, guest.offset_ns)).collect();
            let wanted = Wanted {
                shift_max_ns: guest.shift_max_ns(),
                resolution_ns: guest.resolution_ns,
                to_be_answered: 0,
                one_each: false,
                usual: guest.usual,
            };
            match fit(&stays, &offers, wanted).filter(|fit| fit.places.iter().all(|(_, lies)| *lies == Lies::Within)) {
                None => left.push(Guest { what: What::Lines(logs), ..guest }),
                Some(fit) => {
                    for (at, part) in by_place(logs, fit.places.iter().map(|(at, _)| *at)) {
                        let reason = format!(
                            "it lies within {}, a call that nobody else answered",
                            describe(self.tree, self.calls.all[open[at]].node)
                        );
                        let node = self.lodge(guest.with(part), self.calls.all[open[at]].node, fit.shift_ns, reason, 0.7);
                        self.calls.all[open[at]].callee = Some(node);
                    }
                }
            }
        }
        left
    }

    /// Puts guests under the innermost spans around them that are no calls: those have callees of their own.
    fn lodge_by_time(&mut self, guests: Vec<Guest>) {
        let mut by_traces: BTreeMap<BTreeSet<TraceId>, Vec<Guest>> = BTreeMap::new();
        for guest in guests {
            by_traces.entry(self.spans_for(&guest)).or_default().push(guest);
        }
        for (traces, guests) in by_traces {
            let mut parts: Vec<Guest> = guests.into_iter().flat_map(Guest::pieces).collect();
            parts.sort_by_key(Guest::core);
            let depths = super::nodes::depths(self.tree);
            let working = |index: &usize| !matches!(self.tree.nodes[*index].kind, SpanKind::CLIENT | SpanKind::PRODUCER);
            let spans: Vec<usize> = self.context.spans_in(&traces).into_iter().filter(working).collect();
            let by_start = self.by_start(spans.clone());
            let all_by_start = self.by_start(self.context.spans_in(&traces));
            let mut sweep = Sweep::new(self.tree, &depths, spans);
            let mut place = |part: &Guest| {
                let around = around(self.tree, &mut sweep, part).map(|(node, doubt)| Place { node, doubt, shift_ns: 0, within: true });
                filled(self.tree, &by_start, part).or(around).or_else(|| before(self.tree, &all_by_start, part))
            };
            let places: Vec<Option<Place>> = parts.iter().map(&mut place).collect();
            self.lodge_parts(parts, places);
        }
    }

    fn by_start(&self, mut spans: Vec<usize>) -> Vec<usize> {
        spans.sort_by_key(|&index| (self.tree.nodes[index].placed_start(), index));
        spans
    }

    /// The traces among whose spans a guest is placed: for a root, the others of its request.
    fn spans_for(&self, guest: &Guest) -> BTreeSet<TraceId> {
        match guest.what {
            What::Lines(_) => guest.traces.clone(),
            What::Root(_) => {
                let own = guest.traces.first().copied();
                self.context
                    .spans_of
                    .keys()
                    .copied()
                    .filter(|trace_id| own.is_some_and(|own| self.context.related(own, *trace_id)))
                    .collect()
            }
        }
    }

    fn lodge_parts(&mut self, parts: Vec<Guest>, places: Vec<Option<Place>>) {
        // Neighbouring pieces in one place are one visit.
        let mut visits: Vec<(Guest, Option<Place>)> = Vec::new();
        let mut last_of: BTreeMap<OfService, usize> = BTreeMap::new();
        for (part, place) in parts.into_iter().zip(places) {
            let process = (part.service.clone(), part.process.clone());
            let last = last_of.get(&process).map(|&last| &mut visits[last]);
            let goes_on = |visit: &Guest| matches!((&visit.what, &part.what), (What::Lines(_), What::Lines(_)));
            match last.filter(|(visit, at)| goes_on(visit) && at.map(|at| at.node) == place.map(|place| place.node)) {
                Some((visit, _)) => visit.extend(part),
                None => {
                    last_of.insert(process, visits.len());
                    visits.push((part, place));
                }
            }
        }
        for (guest, place) in visits {
            let Some(place) = place else { continue };
            // Of two that lie within each other's trees only one can be the caller.
            if let What::Root(root) = guest.what
                && self.tree.root_of(place.node) == root
            {
                continue;
            }
            let (reason, confidence) = self.reason(place);
            self.lodge(guest, place.node, place.shift_ns, reason, confidence);
        }
    }

    /// Why a guest stands in its place, and how sure that is.
    fn reason(&self, place: Place) -> (String, f64) {
        let host = describe(self.tree, place.node);
        match place {
            Place { within: false, .. } => {
                ("no span encloses it in time, so it stands under the root that begins last before it".to_owned(), 0.1)
            }
            Place { shift_ns, .. } if shift_ns != 0 => {
                let moved = format!("{:+.1} ms", shift_ns as f64 / 1e6);
                (format!("it fills {host} if its clock is moved by {moved}, as far as others are off"), 0.5)
            }
            Place { doubt: false, .. } => (format!("it lies within {host}, the innermost span around it"), 0.85),
            Place { .. } => (format!("it lies within {host}, and within others"), 0.7),
        }
    }

    /// Hangs a guest under its host; the node it has.
    fn lodge(&mut self, guest: Guest, host: usize, shift_ns: i64, reason: String, confidence: f64) -> usize {
        let offset_ns = guest.offset_ns.saturating_add(shift_ns);
        match guest.what {
            What::Root(root) => {
                let reason = format!("{}; {reason}", what_is_placed(&self.tree.nodes[root]));
                self.tree.nodes[root].parent = Some(host);
                self.tree.nodes[root].inferred = Some(Inference::of(reason, confidence));
                root
            }
            What::Lines(logs) => {
                if shift_ns != 0 {
                    self.clocks.learn(&guest.service, &guest.process, offset_ns, 0.2);
                }
                let reason = format!("no span was received from {}; {reason}", guest.service);
                let inference = weakened(Inference::of(reason, confidence), &logs, &guest.traces);
                add_visit(self.tree, (&guest.service, guest.process), logs, offset_ns, Some(host), inference)
            }
        }
    }
}

fn what_is_placed(node: &TreeNode) -> String {
    match node.role {
        Role::Lines => format!("no span was received from {}", node.service),
        _ => "a trace of its own with the same request id: the trace context was lost".to_owned(),
    }
}

/// By how much a guest's clock must be moved to lie in a call, or to be late by no more than it may, and how much room it
/// leaves there.
fn held(guest: &Guest, offer: Offer, late_max_ns: i64) -> Option<(i64, i64)> {
    let asynchronous = offer.to == UnixNanos::MAX;
    let room_ns = if asynchronous {
        guest.from.since(offer.from).saturating_abs()
    } else {
        offer.to.since(offer.from).saturating_sub(guest.length_ns())
    };
    if room_ns < -guest.resolution_ns - late_max_ns {
        return None;
    }
    let (early_ns, late_ns) = (offer.from.since(guest.from), guest.to.since(offer.to));
    let middle_ns = guest.usual.middle_ns;
    let shift_ns = match (
        early_ns.saturating_sub(middle_ns) > guest.resolution_ns,
        late_ns.saturating_add(middle_ns) > late_max_ns && !asynchronous,
    ) {
        (true, _) => early_ns,
        (false, true) => -late_ns,
        _ => middle_ns,
    };
    (shift_ns.saturating_abs() <= guest.shift_max_ns()).then_some((shift_ns, room_ns))
}

/// Where a guest is placed by time.
#[derive(Clone, Copy)]
struct Place {
    node: usize,
    /// Whether another may be meant.
    doubt: bool,
    shift_ns: i64,
    /// Whether it lies in that span.
    within: bool,
}

/// Where no span is around lines: the root of the span that began last before them, else of the first.
fn before(tree: &Tree, by_start: &[usize], guest: &Guest) -> Option<Place> {
    let begun = by_start.partition_point(|&index| tree.nodes[index].placed_start() <= guest.from);
    let nearest = by_start.get(begun.saturating_sub(1)).filter(|_| matches!(guest.what, What::Lines(_)))?;
    Some(Place { node: tree.root_of(*nearest), doubt: true, shift_ns: 0, within: false })
}

/// Where clocks are known to be off: the span that a guest fills best, if its clock is no farther off than others.
fn filled(tree: &Tree, by_start: &[usize], guest: &Guest) -> Option<Place> {
    let usual = guest.usual;
    if usual.spread_ns == 0 || guest.length_ns() == 0 || matches!(guest.what, What::Root(_)) {
        return None;
    }
    let reach_ns = usual.middle_ns.saturating_add(usual.spread_ns);
    let begun = by_start.partition_point(|&index| tree.nodes[index].placed_start().since(guest.from) <= reach_ns);
    let near = by_start[begun.saturating_sub(UNNAMED_CALLS_MAX)..begun].iter().copied();
    let held = near.filter_map(|node| {
        let (from, to) = (tree.nodes[node].placed_start(), tree.nodes[node].placed_end());
        let room_ns = to.since(from).saturating_sub(guest.length_ns());
        let (least, most) = (from.since(guest.from), to.since(guest.to));
        let fills = (0..=guest.length_ns().saturating_mul(2)).contains(&room_ns) && least <= most;
        let shift_ns = fills.then(|| usual.middle_ns.clamp(least, most)).filter(|&shift_ns| usual.excess_ns(shift_ns) == 0)?;
        Some((room_ns.saturating_add(usual.distance_ns(shift_ns) / 2), node, shift_ns))
    });
    let held: Vec<(i64, usize, i64)> = held.collect();
    let &(_, best, shift_ns) = held.iter().min()?;
    Some(Place { node: above_all(tree, best, held.iter().map(|(_, node, _)| *node)), doubt: true, shift_ns, within: true })
}

/// The innermost span around a guest, and whether another may be meant. It is at least as long as the guest; a root lies
/// in a longer span of another tree.
fn around(tree: &Tree, sweep: &mut Sweep<'_>, guest: &Guest) -> Option<(usize, bool)> {
    let (from, to) = guest.core();
    let length_ns = |index: usize| tree.nodes[index].end.since(tree.nodes[index].start);
    match guest.what {
        What::Lines(_) => sweep.innermost_and_doubt(from, to, |index| length_ns(index) >= guest.length_ns()),
        What::Root(root) => {
            sweep.innermost_and_doubt(from, to, |index| length_ns(index) > guest.length_ns() && tree.root_of(index) != root)
        }
    }
}

fn by_place(logs: Vec<Line>, places: impl Iterator<Item = usize>) -> BTreeMap<usize, Vec<Line>> {
    let mut parts: BTreeMap<usize, Vec<Line>> = BTreeMap::new();
    for (log, place) in logs.into_iter().zip(places) {
        parts.entry(place).or_default().push(log);
    }
    parts
}

impl Guest {
    fn with(&self, logs: Vec<Line>) -> Guest {
        Guest::of_lines(self.traces.clone(), self.service.clone(), self.process.clone(), (self.offset_ns, self.usual), logs)
    }

    fn extend(&mut self, other: Guest) {
        if let (What::Lines(logs), What::Lines(more)) = (&mut self.what, other.what) {
            logs.extend(more);
            self.to = self.to.max(other.to);
        }
    }

    /// Where every line says in which span it was written, and none of those was received: the lines of each.
    fn by_span(self) -> Vec<Guest> {
        let What::Lines(logs) = &self.what else { return vec![self] };
        let mut spans: BTreeMap<Option<SpanId>, Vec<Line>> = BTreeMap::new();
        logs.iter().for_each(|log| spans.entry(log.span_id).or_default().push(log.clone()));
        if spans.contains_key(&None) || spans.len() == 1 {
            return vec![self];
        }
        spans.into_values().map(|lines| self.with(lines)).collect()
    }

    /// Lines cut at the gaps.
    fn pieces(self) -> Vec<Guest> {
        let logs = match &self.what {
            What::Lines(logs) if !of_one_span(logs) => logs.clone(),
            _ => return vec![self],
        };
        let mut pieces: Vec<Vec<Line>> = Vec::new();
        for log in logs {
            let follows = |last: &Line| log.time.since(last.time) <= VISIT_GAP_NS;
            match pieces.last_mut().filter(|piece| piece.last().is_some_and(follows)) {
                Some(piece) => piece.push(log),
                None => pieces.push(vec![log]),
            }
        }
        pieces.into_iter().map(|piece| self.with(piece)).collect()
    }
}
