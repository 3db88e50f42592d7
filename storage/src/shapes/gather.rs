//! Shapes of many records, counted.
//!
//! Where more than [`WORDS_MAX`] words stand in one place between the same separators, the place holds a variable, and all
//! of them become `<*>`. Whether that is so depends on the set of shapes only, and what was told apart before is joined
//! then: shapes may come in any order, and from anywhere.

use std::collections::{HashMap, HashSet};

use super::{Mask, split};
use crate::model::{RecordId, Severity, UnixNanos};
use crate::snapshot::RecordPlace;

/// Words in one place of which it is believed that some program says each of them.
const WORDS_MAX: usize = if cfg!(test) { 8 } else { 1_024 };
/// Shapes take no more memory than this; records with other shapes are then counted together.
const GATHERED_BYTES_MAX: usize = if cfg!(test) { 256 << 10 } else { 64 << 20 };
/// What a shape takes beside its text and its numbers, about.
const SHAPE_BYTES: usize = 160;
/// And what a word takes in the set of words of a place.
const WORD_BYTES: usize = 16;
/// Records that stand for those of a shape.
const NEWEST_MAX: usize = 3;

/// A shape, and the records that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The text, each mask as its character.
    pub text: String,
    /// The records.
    pub counts: ShapeCounts,
}

/// Numbers of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShapeCounts {
    /// All of them.
    pub count: u64,
    /// The earliest time.
    pub first: UnixNanos,
    /// The latest time.
    pub last: UnixNanos,
    /// By bucket.
    pub buckets: Vec<u64>,
    /// By service, in no order; each once.
    pub services: Vec<(u32, u64)>,
    /// By level: from trace to fatal.
    pub levels: [u64; 6],
    /// The newest of them, newest first.
    pub newest: Vec<Newest>,
}

/// One of the newest records: when, which, and where it is.
pub type Newest = (UnixNanos, RecordId, RecordPlace);

impl ShapeCounts {
    /// Counts a record.
    pub(crate) fn add_record(&mut self, newest: Newest, bucket: usize, buckets: usize, service: u32, severity: Severity) {
        if self.count == 0 {
            (self.first, self.last) = (newest.0, newest.0);
            self.buckets = vec![0; buckets];
        }
        self.count += 1;
        self.first = self.first.min(newest.0);
        self.last = self.last.max(newest.0);
        self.buckets[bucket] += 1;
        self.add_service(service, 1);
        if (1..=24).contains(&severity.0) {
            self.levels[usize::from(severity.0 - 1) / 4] += 1;
        }
        self.add_newest(newest);
    }

    /// Counts what was counted elsewhere.
    pub fn add(&mut self, other: ShapeCounts) {
        if self.count == 0 {
            *self = other;
            return;
        }
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, count)| *sum += count);
        self.levels.iter_mut().zip(other.levels).for_each(|(sum, count)| *sum += count);
        other.services.into_iter().for_each(|(service, count)| self.add_service(service, count));
        other.newest.into_iter().for_each(|newest| self.add_newest(newest));
    }

    fn add_service(&mut self, service: u32, count: u64) {
        match self.services.iter_mut().find(|(known, _)| *known == service) {
            Some((_, sum)) => *sum += count,
            None => self.services.push((service, count)),
        }
    }

    fn add_newest(&mut self, newest: Newest) {
        let place = |of: &Newest| (of.0, of.1);
        if self.newest.len() == NEWEST_MAX && self.newest.last().is_some_and(|last| place(last) >= place(&newest)) {
            return;
        }
        let at = self.newest.partition_point(|before| place(before) > place(&newest));
        self.newest.insert(at, newest);
        self.newest.truncate(NEWEST_MAX);
    }
}

/// Shapes by what stands between their tokens.
#[derive(Default)]
pub(crate) struct Gathered {
    groups: HashMap<String, Group, ahash::RandomState>,
    hash: Option<ahash::RandomState>,
    bytes: usize,
    /// Records whose shape was not kept apart.
    beyond: u64,
}

/// Shapes with the same separators.
#[derive(Default)]
struct Group {
    places: Vec<Words>,
    shapes: HashMap<String, ShapeCounts, ahash::RandomState>,
}

/// What stands in one place.
enum Words {
    /// One of these words, by their hashes.
    Few(HashSet<u64, ahash::RandomState>),
    /// Too many to tell apart.
    Many,
}

impl Gathered {
    /// Counts records of a shape.
    pub(crate) fn add(&mut self, shape: &str, counts: ShapeCounts) {
        let (tokens, separators) = split(shape);
        // No text has this character either.
        let skeleton = separators.join("\u{0}");
        if self.bytes > GATHERED_BYTES_MAX && !self.groups.contains_key(&skeleton) {
            self.beyond += counts.count;
            return;
        }
        let hash = self.hash.get_or_insert_with(ahash::RandomState::new);
        let skeleton_bytes = skeleton.len() + SHAPE_BYTES;
        let group = self.groups.entry(skeleton).or_insert_with(|| {
            self.bytes += skeleton_bytes;
            Group::default()
        });
        group.places.resize_with(tokens.len(), || Words::Few(HashSet::default()));
        let mut widened = false;
        for (place, token) in group.places.iter_mut().zip(&tokens) {
            let Words::Few(words) = place else { continue };
            self.bytes += if words.insert(hash.hash_one(token)) { WORD_BYTES } else { 0 };
            if words.len() > WORDS_MAX {
                self.bytes = self.bytes.saturating_sub(words.len() * WORD_BYTES);
                *place = Words::Many;
                widened = true;
            }
        }
        if widened {
            self.bytes = self.bytes.saturating_sub(group.join());
        }
        let text = group.widened(&tokens, &separators);
        let room = self.bytes <= GATHERED_BYTES_MAX;
        match group.shapes.get_mut(&text) {
            Some(known) => known.add(counts),
            None if room => {
                self.bytes += bytes_of(&text, &counts);
                group.shapes.insert(text, counts);
            }
            None => self.beyond += counts.count,
        }
    }

    /// The shapes in the order of their texts, and how many records have others.
    pub(crate) fn finish(self) -> (Vec<Shape>, u64) {
        let shapes = self.groups.into_values().flat_map(|group| group.shapes);
        let mut shapes: Vec<Shape> = shapes.map(|(text, counts)| Shape { text, counts }).collect();
        shapes.sort_unstable_by(|one, other| one.text.cmp(&other.text));
        (shapes, self.beyond)
    }
}

impl Group {
    /// A shape with `<*>` where too many words stand.
    fn widened(&self, tokens: &[&str], separators: &[&str]) -> String {
        let mut text = separators[0].to_owned();
        for ((token, separator), words) in tokens.iter().zip(&separators[1..]).zip(&self.places) {
            match words {
                Words::Few(_) => text.push_str(token),
                Words::Many => text.push(Mask::Any.character()),
            }
            text.push_str(separator);
        }
        text
    }

    /// Joins shapes that are no longer told apart; how many bytes that gives back.
    fn join(&mut self) -> usize {
        let mut given_back = 0;
        for (text, counts) in std::mem::take(&mut self.shapes) {
            let (tokens, separators) = split(&text);
            let joined = self.widened(&tokens, &separators);
            given_back += bytes_of(&text, &counts);
            let known = self.shapes.entry(joined).or_default();
            known.add(counts);
        }
        let kept: usize = self.shapes.iter().map(|(text, counts)| bytes_of(text, counts)).sum();
        given_back.saturating_sub(kept)
    }
}

fn bytes_of(text: &str, counts: &ShapeCounts) -> usize {
    SHAPE_BYTES + text.len() + counts.buckets.len() * size_of::<u64>() + NEWEST_MAX * size_of::<Newest>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(time: u64) -> ShapeCounts {
        let mut counts = ShapeCounts::default();
        let newest = (UnixNanos(time), RecordId(time), RecordPlace::live(0, time as u32));
        counts.add_record(newest, time as usize % 3, 3, time as u32 % 2, Severity(time as u8 % 25));
        counts
    }

    fn sorted(shapes: Vec<Shape>) -> Vec<Shape> {
        let order = |mut shape: Shape| {
            shape.counts.services.sort_unstable();
            shape
        };
        shapes.into_iter().map(order).collect()
    }

    fn gathered(shapes: &[(String, u64)]) -> Gathered {
        let mut gathered = Gathered::default();
        shapes.iter().for_each(|(text, time)| gathered.add(text, counts(*time)));
        gathered
    }

    fn any_shape() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..30_u8, 0..4_u8).prop_map(|(user, verb)| format!("user n{user} v{verb}")),
            (0..30_u8, 0..30_u8).prop_map(|(one, other)| format!("copy n{one}, n{other}")),
            (0..5_u8).prop_map(|number| format!("w{number}")),
            Just("user \u{1} v1".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn shapes_do_not_depend_on_order_nor_on_parts(
            texts in prop::collection::vec(any_shape(), 0..120),
            cut in 0..120_usize,
            seed in any::<u64>(),
        ) {
            let shapes: Vec<(String, u64)> = texts.into_iter().zip(1..).collect();
            let expected = sorted(gathered(&shapes).finish().0);
            let mut shuffled = shapes.clone();
            let hash = ahash::RandomState::with_seeds(seed, 1, 2, 3);
            shuffled.sort_by_key(|(_, time)| hash.hash_one(time));
            prop_assert_eq!(sorted(gathered(&shuffled).finish().0), expected.clone());

            // Counted in two parts first, as shards are.
            let mut whole = Gathered::default();
            let (one, other) = shapes.split_at(cut.min(shapes.len()));
            for part in [other, one] {
                let mut counted: HashMap<&str, ShapeCounts> = HashMap::new();
                part.iter().for_each(|(text, time)| counted.entry(text).or_default().add(counts(*time)));
                counted.into_iter().for_each(|(text, counts)| whole.add(text, counts));
            }
            prop_assert_eq!(sorted(whole.finish().0), expected);
        }
    }

    #[test]
    fn many_words_in_one_place_are_a_variable() {
        let users: Vec<(String, u64)> = (0..=WORDS_MAX as u64).map(|user| (format!("user {user}x in"), user + 1)).collect();
        let few = gathered(&users[1..]).finish().0;
        assert_eq!(few.len(), WORDS_MAX);
        let many = gathered(&users).finish().0;
        assert_eq!(many.len(), 1);
        assert_eq!((many[0].text.as_str(), many[0].counts.count), ("user \u{f} in", WORDS_MAX as u64 + 1));
        let newest: Vec<u64> = many[0].counts.newest.iter().map(|(time, ..)| time.0).collect();
        assert_eq!(newest, [9, 8, 7]);
    }

    #[test]
    fn shapes_beyond_the_bound_are_counted_together() {
        let mut gathered = Gathered::default();
        let shapes = 10_000;
        for number in 1..=shapes {
            let text = "-,".repeat(number as usize % 400 + 1).replacen('-', &format!("w{number}"), 1);
            gathered.add(&text, counts(number));
        }
        assert!(gathered.bytes < 2 * GATHERED_BYTES_MAX);
        let (kept, beyond) = gathered.finish();
        assert!(beyond > 0 && kept.len() > 100);
        assert_eq!(kept.iter().map(|shape| shape.counts.count).sum::<u64>() + beyond, shapes);
    }
}
