//! What records are told apart by when they are counted.

use std::borrow::Cow;

use super::Field;
use crate::model::{AttributeColumn, ColumnValue, DictionaryView, RecordsView, Signal, Value};

/// What records are told apart by when they are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facet {
    /// `log` or `span`.
    Signal,
    /// The first of these fields that a record has. Levels are told by their word: `info` is 9 to 12.
    First(Vec<Field>),
}

/// Integers below this are looked up once and then known by themselves, as entries of a dictionary are.
const SMALL_NUMBERS: i64 = 1_024;
/// The number of a code that was not looked up yet.
const UNKNOWN: u32 = u32::MAX;
/// The number of a code that stands for no value.
const ABSENT: u32 = u32::MAX - 1;

/// The values of a facet in one view, as numbers that the caller gives to them.
pub(crate) struct FacetValues<'v, 'a> {
    /// In the order in which they decide, each with the numbers of its codes.
    places: Vec<(Place<'v, 'a>, Vec<u32>)>,
    /// Rows by code, while they are counted.
    by_code: Vec<u64>,
}

/// Where values stand.
enum Place<'v, 'a> {
    Signal(Signal),
    Services(DictionaryView<'a>),
    Texts(DictionaryView<'a>),
    Level(&'v RecordsView<'a>),
    Row(&'v RecordsView<'a>, fn(&RecordsView<'a>, usize) -> Option<Cow<'a, str>>),
    Attribute(AttributeColumn<'a>),
    OtherAttributes(&'v RecordsView<'a>, &'v str),
    Resource(DictionaryView<'a>, &'v [String]),
}

impl<'v, 'a> FacetValues<'v, 'a> {
    /// The values of a facet in a view; none of them, where there is no facet.
    pub(crate) fn of(facet: Option<&'v Facet>, view: &'v RecordsView<'a>) -> FacetValues<'v, 'a> {
        let mut places = Vec::new();
        match facet {
            None => {}
            Some(Facet::Signal) => places.push(Place::Signal(view.signal)),
            Some(Facet::First(fields)) => fields.iter().for_each(|field| add_places(field, view, &mut places)),
        }
        FacetValues { places: places.into_iter().map(|place| (place, Vec::new())).collect(), by_code: Vec::new() }
    }

    /// The number of a row's value; none where the row has no value. `number_of` is asked once for a value that is
    /// stored as a code.
    pub(crate) fn number(&mut self, row: usize, number_of: &mut dyn FnMut(&str) -> u32) -> Option<u32> {
        for (place, known) in &mut self.places {
            let mut look_up = || place.text(row).map_or(ABSENT, |text| number_of(&text));
            let number = match place.code(row) {
                None => look_up(),
                Some(code) => match known.get(code) {
                    Some(&number) if number != UNKNOWN => number,
                    _ => {
                        known.resize(known.len().max(code + 1), UNKNOWN);
                        known[code] = look_up();
                        known[code]
                    }
                },
            };
            if number != ABSENT {
                return Some(number);
            }
        }
        None
    }
}

impl FacetValues<'_, '_> {
    /// Calls `add` with the number of each value that some rows have, and how many of them have it. Rows are counted
    /// by their codes, which costs a fraction of looking at each row's value.
    pub(crate) fn count(&mut self, rows: &[u32], number_of: &mut dyn FnMut(&str) -> u32, add: &mut dyn FnMut(Option<u32>, u64)) {
        let Some((place, _)) = self.places.first() else { return add(None, rows.len() as u64) };
        let mut codes = Codes { counts: std::mem::take(&mut self.by_code), firsts: Vec::new() };
        let mut others = Vec::new();
        if let Some(all) = place.dictionary().and_then(|texts| texts.codes()) {
            rows.iter().for_each(|row| codes.add(*row, all[*row as usize] as usize));
        } else {
            for row in rows {
                match place.code(*row as usize) {
                    Some(code) => codes.add(*row, code),
                    None => others.push(*row),
                }
            }
        }
        let Codes { mut counts, firsts } = codes;
        for (row, code) in firsts {
            let count = std::mem::take(&mut counts[code]);
            let number = self.number(row as usize, number_of);
            if self.places[0].1[code] == ABSENT && self.places.len() > 1 {
                // Elsewhere each of these rows may have a value of its own.
                others.extend(rows.iter().filter(|row| self.places[0].0.code(**row as usize) == Some(code)));
            } else {
                add(number, count);
            }
        }
        self.by_code = counts;
        for row in others {
            add(self.number(row as usize, number_of), 1);
        }
    }
}

/// Rows by code.
struct Codes {
    counts: Vec<u64>,
    /// The first row of each code, and the code.
    firsts: Vec<(u32, usize)>,
}

impl Codes {
    #[inline]
    fn add(&mut self, row: u32, code: usize) {
        if code >= self.counts.len() {
            self.counts.resize(code + 1, 0);
        }
        let count = &mut self.counts[code];
        if *count == 0 {
            self.firsts.push((row, code));
        }
        *count += 1;
    }
}

fn add_places<'v, 'a>(field: &'v Field, view: &'v RecordsView<'a>, places: &mut Vec<Place<'v, 'a>>) {
    match field {
        Field::Service => places.extend(view.services().map(Place::Services)),
        Field::Name => places.extend(view.names().map(Place::Texts)),
        Field::EventName => places.extend(view.event_names().map(Place::Texts)),
        Field::Time => places.push(Place::Row(view, |view, row| Some(view.time(row).0.to_string().into()))),
        Field::Severity => places.push(Place::Level(view)),
        Field::Body => places.push(Place::Row(view, |view, row| view.body(row).map(Cow::Borrowed))),
        Field::Duration => places.push(Place::Row(view, |view, row| view.duration_ns(row).map(|nanos| nanos.to_string().into()))),
        Field::Status => places.push(Place::Row(view, |view, row| view.status(row).map(|status| status.name().into()))),
        Field::StatusMessage => places.push(Place::Row(view, |view, row| view.status_message(row).map(Cow::Borrowed))),
        Field::SpanKind => places.push(Place::Row(view, |view, row| view.kind(row).map(|kind| kind.name().into()))),
        Field::Attribute(keys) => add_attributes(keys, view, places),
        Field::Resource(keys) => places.extend(view.resource().map(|resources| Place::Resource(resources, keys))),
        Field::Any(keys) => {
            add_attributes(keys, view, places);
            places.extend(view.resource().map(|resources| Place::Resource(resources, keys)));
        }
    }
}

fn add_attributes<'v, 'a>(keys: &'v [String], view: &'v RecordsView<'a>, places: &mut Vec<Place<'v, 'a>>) {
    for key in keys {
        places.extend(view.attribute_columns().iter().filter(|column| column.key == key).copied().map(Place::Attribute));
        places.push(Place::OtherAttributes(view, key));
    }
}

impl Place<'_, '_> {
    /// The dictionary whose codes these are.
    fn dictionary(&self) -> Option<DictionaryView<'_>> {
        match self {
            Place::Services(texts) | Place::Texts(texts) | Place::Resource(texts, _) => Some(*texts),
            Place::Attribute(column) => column.dictionary(),
            _ => None,
        }
    }

    /// A small number that stands for the value of a row, and in this place for no other.
    fn code(&self, row: usize) -> Option<usize> {
        match self {
            Place::Signal(_) => Some(0),
            Place::Services(texts) | Place::Texts(texts) | Place::Resource(texts, _) => texts.code(row),
            Place::Level(view) => {
                Some(view.severity(row)).filter(|severity| !severity.level().is_empty()).map(|severity| severity.0.into())
            }
            Place::Attribute(column) => match column.dictionary() {
                Some(texts) => texts.code(row),
                None => small_number(column.get(row)?),
            },
            Place::Row(..) | Place::OtherAttributes(..) => None,
        }
    }

    /// The value of a row.
    fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Place::Signal(Signal::Logs) => Some("log".into()),
            Place::Signal(Signal::Spans) => Some("span".into()),
            Place::Services(texts) => texts.get(row).filter(|service| !service.is_empty()).map(Cow::Borrowed),
            Place::Texts(texts) => texts.get(row).map(Cow::Borrowed),
            Place::Level(view) => match view.severity(row).level() {
                // A level word of the source's own, such as `notice2`.
                "" => view.severity_text(row).map(Cow::Borrowed),
                level => Some(level.into()),
            },
            Place::Row(view, text) => text(view, row),
            Place::Attribute(column) => column.get(row).map(|value| value.text()),
            Place::OtherAttributes(view, key) => view.other_attributes(row).find(|(name, _)| name == key).map(|(_, value)| value.text()),
            Place::Resource(resources, keys) => {
                let resource = Value::from_json(resources.get(row)?).ok()?;
                keys.iter().find_map(|key| resource.get(key)).map(|value| value.text().into())
            }
        }
    }
}

fn small_number(value: ColumnValue<'_>) -> Option<usize> {
    match value {
        ColumnValue::Int(number) if (0..SMALL_NUMBERS).contains(&number) => usize::try_from(number).ok(),
        ColumnValue::Bool(truth) => Some(usize::from(truth)),
        _ => None,
    }
}
