//! How far clocks are off, by the rule that a call's handling lies within the call: a server span must fit its client
//! span. Messages are no evidence, they wait. A clock is of a machine where that is known, else of a process.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use needle_storage::model::SpanKind;

use super::tree::{Process, Role, Tree, TreeNode};
use super::witness::{Testimony, Witness};
use crate::answer::ClockOffset;

/// What has a clock of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Keeper {
    Machine(String),
    Process(String, Option<String>),
}

/// How far clocks of a journey are off where calls tell: what may be expected of one that nothing is known of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usual {
    /// The middle of the known offsets.
    pub(super) middle_ns: i64,
    /// How far offsets lie from it; zero where all known clocks agree.
    pub(super) spread_ns: i64,
    /// How many clocks are known.
    clocks: usize,
}

impl Usual {
    /// Of some offsets.
    fn of(mut offsets: Vec<i64>) -> Usual {
        offsets.sort_unstable();
        let (Some(lower), Some(upper)) = (offsets.get((offsets.len() - 1) / 2), offsets.get(offsets.len() / 2)) else {
            return Usual::default();
        };
        let middle_ns = lower / 2 + upper / 2;
        let apart_ns = |offset_ns: &i64| offset_ns.saturating_sub(middle_ns).saturating_abs().min(USUAL_ERROR_MAX_NS);
        // The fewer are known, the farther others may be off.
        let spread_ns = 2 * offsets.iter().map(apart_ns).sum::<i64>() / (offsets.len() as i64 - 1).max(1);
        let clocks = offsets.len();
        if spread_ns < USUAL_ERROR_MIN_NS { Usual { clocks, ..Usual::default() } } else { Usual { middle_ns, spread_ns, clocks } }
    }

    /// Of a clock that is known but for this.
    pub(super) fn within(doubt_ns: i64) -> Usual {
        Usual { middle_ns: 0, spread_ns: doubt_ns, clocks: 1 }
    }

    /// How far from the middle an offset is.
    pub(super) fn distance_ns(self, offset_ns: i64) -> i64 {
        offset_ns.saturating_sub(self.middle_ns).saturating_abs()
    }

    /// Whether several clocks are known, and agree.
    pub(super) fn agree(self) -> bool {
        self.clocks >= CLOCKS_TELLING_MIN && self.spread_ns == 0
    }

    /// How much farther off than clocks of the journey are.
    pub(super) fn excess_ns(self, offset_ns: i64) -> i64 {
        self.distance_ns(offset_ns).saturating_sub(self.spread_ns).max(0)
    }
}

/// Two that agree may do so by chance.
const CLOCKS_TELLING_MIN: usize = 3;
/// A single clock that is off by more counts as this much: it says nothing about the others.
const USUAL_ERROR_MAX_NS: i64 = 2_000_000_000;
/// Clocks that are kept are off by less.
const USUAL_ERROR_MIN_NS: i64 = 2_000_000;

/// What other journeys tell is off by up to this: trips through the network are not as long both ways.
const TOLD_ERROR_MIN_NS: i64 = 1_000_000;
/// A clock is not known from others by less than so many visits, nor if more than a quarter of them speak against it.
const VISITS_TELLING_MIN: usize = 2;

/// Estimated offsets. What nothing is known of is taken as right.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Of the clocks that calls between spans tell of.
    usual: Usual,
    /// What told it.
    heard: Vec<i64>,
    offsets: HashMap<Keeper, i64>,
    /// Of the clocks that only visits in other journeys tell of: how far they may be off yet.
    doubts: HashMap<Keeper, i64>,
    /// Of processes that do not say which they are: the offsets of several, and how far these may be off.
    several: HashMap<Keeper, Vec<(i64, i64)>>,
    /// Clocks that spans, or other journeys, tell of.
    told: HashSet<Keeper>,
    /// What other journeys tell.
    elsewhere: Arc<Vec<Testimony>>,
    /// Of services that have one process only, so that records which do not name theirs are its.
    only: HashMap<String, Option<i64>>,
    shown: BTreeMap<(String, Option<String>), ClockOffset>,
}

/// The offsets that make one call fit: at least, and at most unless the callee outlived the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) at_least_ns: i64,
    pub(super) at_most_ns: Option<i64>,
}

/// The offset of a clock against another.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    offset_ns: i64,
    confidence: f64,
    /// How much room the calls leave it.
    room_ns: i64,
}

impl Clocks {
    /// The offsets of all clocks that calls connect with the main root's, which is taken as right: by calls of this journey,
    /// and of others.
    pub(super) fn estimate(tree: &Tree, elsewhere: Arc<Vec<Testimony>>) -> Clocks {
        let root = tree.main_root().and_then(|root| reference_keeper(tree, root));
        let Some(reference) = root.or_else(|| best_connected(&elsewhere)) else { return Clocks { elsewhere, ..Clocks::default() } };
        let mut calls = calls_between(tree);
        for told in elsewhere.iter().filter(|told| told.witness == Witness::Spans) {
            calls.entry((told.caller.clone(), told.callee.clone())).or_default().push(told.bounds);
        }
        let known = connected(&reference, &calls);
        let mut clocks = Clocks::of_processes(tree, &known, &reference);
        clocks.hear(&known, &elsewhere);
        clocks.told = clocks.offsets.keys().chain(clocks.several.keys()).cloned().collect();
        clocks.elsewhere = elsewhere;
        clocks
    }

    /// The same after more was found out about who called whom.
    pub(super) fn again(&self, tree: &Tree) -> Clocks {
        Clocks::estimate(tree, self.elsewhere.clone())
    }

    /// Clocks of services that only log, by their visits in other journeys.
    fn hear(&mut self, known: &BTreeMap<Keeper, Estimate>, elsewhere: &[Testimony]) {
        let mut visits: BTreeMap<&Keeper, Vec<Bounds>> = BTreeMap::new();
        for told in elsewhere.iter().filter(|told| told.witness == Witness::Lines && !known.contains_key(&told.callee)) {
            let Some(caller) = known.get(&told.caller) else { continue };
            let moved = |ns: i64| ns.saturating_add(caller.offset_ns);
            let bounds = Bounds { at_least_ns: moved(told.bounds.at_least_ns), at_most_ns: told.bounds.at_most_ns.map(moved) };
            visits.entry(&told.callee).or_default().push(bounds);
        }
        for (keeper, visits) in visits {
            let known = several(visits, self.usual.spread_ns == 0);
            match known.as_slice() {
                [] => {}
                [(offset_ns, doubt_ns)] => {
                    self.offsets.insert(keeper.clone(), *offset_ns);
                    // A clock that may be right is not moved a little where all are right.
                    if *offset_ns != 0 || self.usual.spread_ns > 0 {
                        self.doubts.insert(keeper.clone(), *doubt_ns);
                    }
                }
                several => _ = self.several.insert(keeper.clone(), several.to_vec()),
            }
        }
    }

    /// Where a process does not say which it is, and other journeys tell that it is several: each one's offset, and how far
    /// that may be off.
    pub(super) fn several(&self, service: &str, process: &Process) -> &[(i64, i64)] {
        self.several.get(&Keeper::of(service, process)).map_or(&[], Vec::as_slice)
    }

    /// The known clocks by the processes that go by them, the reference left out.
    fn of_processes(tree: &Tree, known: &BTreeMap<Keeper, Estimate>, reference: &Keeper) -> Clocks {
        let mut clocks = Clocks {
            heard: known.values().map(|clock| clock.offset_ns).collect(),
            offsets: known.iter().map(|(keeper, clock)| (keeper.clone(), clock.offset_ns)).collect(),
            ..Clocks::default()
        };
        clocks.count_heard();
        for node in tree.nodes.iter().filter(|node| node.role == Role::Span) {
            let keeper = Keeper::of(&node.service, &node.process);
            let Some(clock) = known.get(&keeper).filter(|_| keeper != *reference) else { continue };
            clocks.show(&node.service, node.process.instance.as_ref(), clock.offset_ns, clock.confidence);
        }
        clocks
    }

    fn show(&mut self, service: &str, instance: Option<&String>, offset_ns: i64, confidence: f64) {
        let key = (service.to_owned(), instance.cloned());
        if self.shown.contains_key(&key) {
            return;
        }
        self.only.entry(key.0.clone()).and_modify(|only| *only = None).or_insert(Some(offset_ns));
        self.shown.insert(key.clone(), ClockOffset { service: key.0, instance: key.1, offset_ns, confidence });
    }

    /// What only the lines of a process tell about its clock.
    pub(super) fn learn(&mut self, service: &str, process: &Process, offset_ns: i64, confidence: f64) {
        self.heard.push(offset_ns);
        self.offsets.entry(Keeper::Process(service.to_owned(), process.instance.clone())).or_insert(offset_ns);
        self.show(service, process.instance.as_ref(), offset_ns, confidence);
    }

    /// Counts what lines told since, also of clocks that were right.
    pub(super) fn count_heard(&mut self) {
        self.usual = Usual::of(self.heard.clone());
    }

    /// What lines agree with.
    pub(super) fn confirm(&mut self, offset_ns: i64) {
        self.heard.push(offset_ns);
    }

    /// What may be expected of the clock of a process beyond its offset: nothing if that is known.
    pub(super) fn usual(&self, service: &str, process: &Process) -> Usual {
        let doubt_ns = self.doubts.get(&Keeper::of(service, process));
        match (self.known_ns(service, process), doubt_ns) {
            (Some(_), Some(&doubt_ns)) => Usual::within(doubt_ns),
            (Some(_), None) => Usual::default(),
            (None, _) => self.usual,
        }
    }

    /// Whether calls between spans, or other journeys, tell of the clock of a process.
    pub(super) fn is_told(&self, service: &str, process: &Process) -> bool {
        self.told.contains(&Keeper::of(service, process))
    }

    /// Whether several clocks of the journey are known, and agree.
    pub(super) fn agree(&self) -> bool {
        self.usual.agree()
    }

    /// Whether clocks of the journey are known to be off.
    pub(super) fn are_off(&self) -> bool {
        self.usual.spread_ns > 0
    }

    /// The offset of a process; of its service's only one when the record names none.
    pub(super) fn offset_ns(&self, service: &str, process: &Process) -> i64 {
        self.known_ns(service, process).unwrap_or(0)
    }

    fn known_ns(&self, service: &str, process: &Process) -> Option<i64> {
        let of_process = self.offsets.get(&Keeper::Process(service.to_owned(), process.instance.clone()));
        let known = of_process.or_else(|| self.offsets.get(&Keeper::of(service, process)));
        let only = || if process.instance.is_none() { self.only.get(service).copied().flatten() } else { None };
        known.copied().or_else(only)
    }

    /// Shows what is known of the clock of a process that has no span here.
    pub(super) fn tell(&mut self, service: &str, process: &Process) {
        let keeper = Keeper::of(service, process);
        if self.doubts.contains_key(&keeper)
            && let Some(&offset_ns) = self.offsets.get(&keeper).filter(|offset_ns| **offset_ns != 0)
        {
            self.show(service, process.instance.as_ref(), offset_ns, 0.8);
        }
    }

    /// The offset under which a service and instance are shown.
    pub(super) fn shown_ns(&self, service: &str, instance: Option<&String>) -> i64 {
        self.shown.get(&(service.to_owned(), instance.cloned())).map_or(0, |offset| offset.offset_ns)
    }

    /// Sets the offset of every node.
    pub(super) fn apply(&self, tree: &mut Tree) {
        for node in &mut tree.nodes {
            node.offset_ns = self.offset_ns(&node.service, &node.process);
        }
        // The place of a missing parent moves with what is below it.
        for index in 0..tree.nodes.len() {
            if let Some(parent) = tree.nodes[index].parent.filter(|&parent| tree.nodes[parent].role == Role::Missing)
                && tree.nodes[index].first_record == tree.nodes[parent].first_record
            {
                tree.nodes[parent].offset_ns = tree.nodes[index].offset_ns;
            }
        }
    }

    /// By service and instance.
    pub(super) fn into_answer(self) -> Vec<ClockOffset> {
        self.shown.into_values().collect()
    }
}

impl Keeper {
    pub(super) fn of(service: &str, process: &Process) -> Keeper {
        match &process.machine {
            Some(machine) => Keeper::Machine(machine.clone()),
            None => Keeper::Process(service.to_owned(), process.instance.clone()),
        }
    }
}

/// Where a journey has no span any clock will do that many others were compared with.
fn best_connected(elsewhere: &[Testimony]) -> Option<Keeper> {
    let mut calls: BTreeMap<&Keeper, usize> = BTreeMap::new();
    elsewhere.iter().for_each(|told| *calls.entry(&told.caller).or_default() += 1);
    calls.into_iter().max_by_key(|(keeper, calls)| (*calls, Reverse(*keeper))).map(|(keeper, _)| keeper.clone())
}

/// The offsets that visits agree on, and how far each may be off: of one clock, or of several that are called the same. None
/// if more than a quarter of the visits agree with none of them.
fn several(mut visits: Vec<Bounds>, right: bool) -> Vec<(i64, i64)> {
    let (total, mut agree, mut known) = (visits.len(), 0, Vec::new());
    while known.len() < CLOCKS_OF_ONE_NAME_MAX && visits.len() >= VISITS_TELLING_MIN {
        let (agreeing, least_ns, most_ns) = most_agreed(&visits);
        let Some(most_ns) = most_ns.filter(|_| agreeing >= VISITS_TELLING_MIN) else { break };
        let may_be_right = right && least_ns <= 0 && 0 <= most_ns;
        let offset_ns = if may_be_right { 0 } else { least_ns + most_ns.saturating_sub(least_ns) / 2 };
        let doubt_ns = most_ns.saturating_sub(offset_ns).max(offset_ns.saturating_sub(least_ns)).max(TOLD_ERROR_MIN_NS);
        known.push((offset_ns, doubt_ns));
        visits.retain(|visit| visit.at_least_ns > least_ns || visit.at_most_ns.is_some_and(|at_most_ns| at_most_ns < most_ns));
        agree += agreeing;
        if agree * 4 >= total * 3 && known.len() == 1 {
            break;
        }
    }
    if agree * 4 >= total * 3 { known } else { Vec::new() }
}

/// Clocks that are told apart though they are called the same.
const CLOCKS_OF_ONE_NAME_MAX: usize = 4;

/// The clocks that calls connect with one: each by the calls that leave the least room on the way.
fn connected(reference: &Keeper, calls: &BTreeMap<(Keeper, Keeper), Vec<Bounds>>) -> BTreeMap<Keeper, Estimate> {
    let mut neighbours: BTreeMap<&Keeper, Vec<(&Keeper, Estimate)>> = BTreeMap::new();
    for ((caller, callee), bounds) in calls {
        let clock = offset_of(bounds);
        neighbours.entry(caller).or_default().push((callee, clock));
        neighbours.entry(callee).or_default().push((caller, Estimate { offset_ns: clock.offset_ns.saturating_neg(), ..clock }));
    }
    let mut known: BTreeMap<Keeper, Estimate> = BTreeMap::new();
    let mut reached: BTreeMap<&Keeper, Estimate> = BTreeMap::from([(reference, Estimate { offset_ns: 0, confidence: 1.0, room_ns: 0 })]);
    let mut next: BinaryHeap<Reverse<(i64, &Keeper)>> = BinaryHeap::from([Reverse((0, reference))]);
    while let Some(Reverse((_, from))) = next.pop() {
        if known.contains_key(from) {
            continue;
        }
        let here = reached[from];
        known.insert(from.clone(), here);
        for (to, step) in neighbours.get(from).into_iter().flatten().filter(|(to, _)| !known.contains_key(*to)) {
            let there = Estimate {
                offset_ns: here.offset_ns.saturating_add(step.offset_ns),
                confidence: here.confidence * step.confidence,
                room_ns: here.room_ns.saturating_add(step.room_ns),
            };
            if reached.get(to).is_none_or(|known| there.room_ns < known.room_ns) {
                reached.insert(to, there);
                next.push(Reverse((there.room_ns, to)));
            }
        }
    }
    known
}

pub(super) fn calls_between(tree: &Tree) -> BTreeMap<(Keeper, Keeper), Vec<Bounds>> {
    let mut calls: BTreeMap<(Keeper, Keeper), Vec<Bounds>> = BTreeMap::new();
    for node in &tree.nodes {
        let Some(caller) = node.parent.map(|parent| &tree.nodes[parent]).filter(|caller| is_call(caller, node)) else { continue };
        let keepers = (Keeper::of(&caller.service, &caller.process), Keeper::of(&node.service, &node.process));
        if keepers.0 != keepers.1 {
            calls.entry(keepers).or_default().push(bounds(caller, node));
        }
    }
    calls
}

/// The clock of a root; of its first child when the root is missing.
fn reference_keeper(tree: &Tree, root: usize) -> Option<Keeper> {
    let keeper = |node: &TreeNode| Keeper::of(&node.service, &node.process);
    if tree.nodes[root].role == Role::Span {
        return Some(keeper(&tree.nodes[root]));
    }
    let children = tree.nodes.iter().filter(|node| node.parent == Some(root) && node.role == Role::Span);
    children.min_by_key(|node| (node.start, node.span_id, node.first_record)).map(keeper)
}

/// Somebody waits for an answer: with a client span, or without where the client library tells nothing.
fn is_call(caller: &TreeNode, callee: &TreeNode) -> bool {
    let waits = matches!(caller.kind, SpanKind::CLIENT | SpanKind::SERVER | SpanKind::INTERNAL);
    waits && caller.role == Role::Span && callee.kind == SpanKind::SERVER
}

fn bounds(caller: &TreeNode, callee: &TreeNode) -> Bounds {
    let at_least_ns = caller.start.since(callee.start);
    let at_most_ns = caller.end.since(callee.end);
    // A callee that outlived the call (the caller gave up) only tells that it did not begin earlier.
    Bounds { at_least_ns, at_most_ns: (at_most_ns >= at_least_ns).then_some(at_most_ns) }
}

/// The callee's offset and how sure it is: the one that most calls agree with, whatever a few odd ones say. Zero when
/// that is as good as any: the middle of the slack would be a guess.
fn offset_of(calls: &[Bounds]) -> Estimate {
    let fits = |offset_ns: i64| move |call: &&Bounds| call.at_least_ns <= offset_ns && call.at_most_ns.is_none_or(|most| offset_ns <= most);
    let fitting = calls.iter().filter(fits(0)).count();
    let (agreeing, least_ns, most_ns) = most_agreed(calls);
    let room_ns = most_ns.map_or(UNBOUNDED_NS, |most_ns| most_ns.saturating_sub(least_ns).min(UNBOUNDED_NS));
    let (offset_ns, confidence) = match most_ns {
        _ if fitting == calls.len() => (0, 0.9),
        _ if fitting == agreeing => (0, 0.5),
        None => (least_ns, 0.3),
        Some(most_ns) => {
            let offset_ns = likeliest(least_ns, most_ns);
            let half_width = (most_ns as f64 - least_ns as f64) / 2.0;
            let narrow = 0.5 + 0.45 * offset_ns.unsigned_abs() as f64 / (offset_ns.unsigned_abs() as f64 + half_width + 1.0);
            (offset_ns, narrow * agreeing as f64 / calls.len() as f64)
        }
    };
    Estimate { offset_ns, confidence, room_ns }
}

/// The room that calls leave which say nothing of one side.
const UNBOUNDED_NS: i64 = 3_600_000_000_000;

/// The middle where the calls leave less room than the clock is off; else the end that is nearer to zero.
pub(super) fn likeliest(least_ns: i64, most_ns: i64) -> i64 {
    let nearer_ns = if least_ns.unsigned_abs() <= most_ns.unsigned_abs() { least_ns } else { most_ns };
    let room_ns = most_ns.saturating_sub(least_ns);
    if room_ns.unsigned_abs() < nearer_ns.unsigned_abs() { least_ns + room_ns / 2 } else { nearer_ns }
}

/// How many calls agree at most, and from which offset to which; of several such stretches the one nearest to zero.
fn most_agreed(calls: &[Bounds]) -> (usize, i64, Option<i64>) {
    let mut edges: BTreeSet<i64> = calls.iter().map(|call| call.at_least_ns).collect();
    edges.insert(i64::MIN);
    let mut begins: Vec<i64> = calls.iter().map(|call| call.at_least_ns).collect();
    let mut ends: Vec<i64> = calls.iter().filter_map(|call| call.at_most_ns).collect();
    begins.sort_unstable();
    ends.sort_unstable();
    let mut best = (0, 0, None);
    for from in edges {
        let (begun, ended) = (begins.partition_point(|begin| *begin <= from), ends.partition_point(|end| *end < from));
        let agreeing = begun - ended.min(begun);
        let to = ends.get(ended).copied();
        let distance = |from: i64, to: Option<i64>| from.unsigned_abs().min(to.map_or(u64::MAX, i64::unsigned_abs));
        if agreeing > best.0 || (agreeing == best.0 && agreeing > 0 && distance(from, to) < distance(best.1, best.2)) {
            best = (agreeing, from, to);
        }
    }
    best
}
