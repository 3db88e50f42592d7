//! The truth: every record says who made it, the how many-th it is, and a digest of both, so that what is read back can be
//! told lost, doubled, altered or made up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One batch, as its producer knows it.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) producer: u64,
    pub(crate) first: u64,
    pub(crate) records: u64,
    pub(crate) answer: Answer,
    /// Its order was deleted since.
    pub(crate) deletion: Answer,
}

/// What a producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was not asked, or refused.
    No,
    /// It was asked, and nobody answered.
    Unknown,
    Yes,
}

/// Everything that was sent to one store.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) batches: Vec<Batch>,
}

/// What was found to be wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) audited: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) altered: u64,
    pub(crate) phantom: u64,
    /// Batches that nobody acknowledged and of which some records are there, and some are not.
    pub(crate) halved: u64,
    /// Records that are there after their deletion was acknowledged.
    pub(crate) undead: u64,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        Verdict { audited: 0, ..self.clone() } == Verdict::default()
    }

    pub(crate) fn add(&mut self, other: &Verdict) {
        self.audited += other.audited;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.altered += other.altered;
        self.phantom += other.phantom;
        self.halved += other.halved;
        self.undead += other.undead;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { audited, lost, doubled, altered, phantom, halved, undead } = self;
        write!(f, "{audited} audited: {lost} lost, {doubled} doubled, {altered} altered, {phantom} made up, ")?;
        write!(f, "{halved} batches halved, {undead} there after their deletion")
    }
}

fn digest(producer: u64, sequence: u64) -> String {
    blake3::hash(format!("{producer} {sequence}").as_bytes()).to_hex()[..16].to_owned()
}

/// So that records are of different lengths.
fn padding(sequence: u64) -> String {
    "x".repeat((sequence * 37 % 300) as usize)
}

impl Batch {
    /// The id that all its records carry.
    pub(crate) fn order(&self) -> String {
        format!("order-{}-{}", self.producer, self.first)
    }

    /// JSON lines. Every record has a time of its own, so that an equal batch is a repetition.
    pub(crate) fn body(&self) -> Vec<u8> {
        let (producer, order) = (self.producer, self.order());
        let line = |sequence: u64| {
            let digest = digest(producer, sequence);
            let time_ms = 1_780_000_000_000 + sequence * 7 + producer;
            let padding = padding(sequence);
            format!(
                "{{\"time\":{time_ms},\"service\":\"producer-{producer}\",\"msg\":\"{producer} {sequence} {digest}\",\
                 \"request_id\":\"{order}\",\"sequence\":{sequence},\"padding\":\"{padding}\"}}\n"
            )
        };
        (self.first..self.first + self.records).map(line).collect::<String>().into_bytes()
    }
}

/// A record as it was read back.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) service: &'a str,
    pub(crate) message: &'a str,
    pub(crate) sequence: Option<i64>,
    pub(crate) padding: Option<&'a str>,
}

impl Told<'_> {
    /// Producer and number, if it is as it was made.
    fn origin(&self) -> Option<(u64, u64)> {
        let mut parts = self.message.split(' ');
        let (producer, sequence) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let is_whole = parts.next()? == digest(producer, sequence)
            && self.sequence? == i64::try_from(sequence).ok()?
            && self.padding? == padding(sequence)
            && self.service == format!("producer-{producer}");
        is_whole.then_some((producer, sequence))
    }
}

impl Oracle {
    /// Holds what is there against what was sent and answered.
    pub(crate) fn judge<'a>(&self, found: impl Iterator<Item = Told<'a>>) -> Verdict {
        let mut audit = self.audit();
        found.for_each(|record| audit.add(&record));
        audit.verdict()
    }

    /// The same, told record by record.
    pub(crate) fn audit(&self) -> Audit<'_> {
        let sent: BTreeMap<(u64, u64), Sent<'_>> = self
            .batches
            .iter()
            .map(|batch| ((batch.producer, batch.first), Sent { batch, times: vec![0; usize::try_from(batch.records).unwrap()] }))
            .collect();
        assert_eq!(sent.len(), self.batches.len(), "no two batches begin with the same record");
        Audit { sent, not_sent: BTreeSet::new(), verdict: Verdict::default() }
    }
}

/// What was read back so far.
pub(crate) struct Audit<'a> {
    /// By producer and first number.
    sent: BTreeMap<(u64, u64), Sent<'a>>,
    not_sent: BTreeSet<(u64, u64)>,
    verdict: Verdict,
}

/// A batch, and how often each of its records was read back.
struct Sent<'a> {
    batch: &'a Batch,
    times: Vec<u32>,
}

impl Audit<'_> {
    /// A record was read back.
    pub(crate) fn add(&mut self, record: &Told<'_>) {
        self.verdict.audited += 1;
        let Some((producer, sequence)) = record.origin() else {
            self.verdict.altered += 1;
            return;
        };
        let sent = self.sent.range_mut((producer, 0)..=(producer, sequence)).next_back();
        match sent.and_then(|((_, first), sent)| sent.times.get_mut(usize::try_from(sequence - first).unwrap())) {
            Some(times) => *times += 1,
            None => _ = self.not_sent.insert((producer, sequence)),
        }
    }

    /// All were.
    pub(crate) fn verdict(self) -> Verdict {
        let Audit { sent, not_sent, mut verdict } = self;
        verdict.phantom += not_sent.len() as u64;
        for Sent { batch, times } in sent.values() {
            let there = times.iter().filter(|times| **times > 0).count() as u64;
            verdict.doubled += times.iter().map(|times| u64::from(times.saturating_sub(1))).sum::<u64>();
            let missing = batch.records - there;
            match (batch.answer, batch.deletion) {
                (_, Answer::Yes) => verdict.undead += there,
                (Answer::Yes, Answer::No) => verdict.lost += missing,
                (Answer::No, _) => verdict.phantom += there,
                _ => verdict.halved += u64::from(there > 0 && missing > 0),
            }
        }
        verdict
    }
}
