//! Comparing two sets of records: which values differ most in their shares.
//!
//! A value's score is how far its shares differ for certain: the end nearest to 0 of the score interval for the difference
//! of two proportions, 0 if it contains 0 (Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10). So a large
//! difference among few records does not come before a smaller one among many.

use needle_storage::model::column;
use needle_storage::predicate::{Field, Predicate};
use needle_storage::{Compared, ComparedField, ComparedPlace, Comparison, LeftOut, Sides};

use crate::answer::{CompareAnswer, CompareRequest, FieldDifference, SkippedField, ValueDifference};
use crate::error::{QueryError, predicate_in};
use crate::fields::{attribute_name, column_name, resource_name};
use crate::histogram::at_most;
use crate::limits::{COMPARE_FIELDS, COMPARE_FIELDS_MAX, COMPARE_VALUES};
use crate::search::completeness;

/// Standard deviations on both sides: one value of a thousand differs so much by chance, and many are looked at.
const CERTAINTY: f64 = 3.29;
/// A field is nearly unique when less than so many records share a value on average, and it has more than a few.
const RECORDS_PER_VALUE_MIN: u64 = 2;
const UNIQUE_VALUES_MIN: usize = 10;

/// What a request asks of storage, and how its answer is cut.
pub(crate) struct Plan {
    pub(crate) comparison: Comparison,
    limit: usize,
    /// Fields that the queries ask for.
    asked: Vec<Field>,
    asks_signal: bool,
}

impl Plan {
    pub(crate) fn of(request: &CompareRequest) -> Result<Plan, QueryError> {
        let (start, end) = (request.start, request.end);
        let selected = predicate_in(&request.query, start, end)?;
        let baseline = request.baseline.as_deref().map(|query| predicate_in(query, start, end)).transpose()?;
        if matches!(selected, Predicate::All) {
            return Err(QueryError::Parameter("q selects every record: give the query that you want compared with the rest".to_owned()));
        }
        let limit = at_most("limit", request.limit.unwrap_or(COMPARE_FIELDS), COMPARE_FIELDS_MAX)?;
        let mut plan = Plan { comparison: Comparison { selected, baseline, start, end }, limit, asked: Vec::new(), asks_signal: false };
        let comparison = plan.comparison.clone();
        [Some(comparison.selected), comparison.baseline].iter().flatten().for_each(|predicate| plan.note(predicate));
        Ok(plan)
    }

    /// Notes the fields that a query asks for: that they differ is no news.
    fn note(&mut self, predicate: &Predicate) {
        match predicate {
            Predicate::And(inner) | Predicate::Or(inner) => inner.iter().for_each(|predicate| self.note(predicate)),
            Predicate::Not(inner) => self.note(inner),
            Predicate::Signal(_) => self.asks_signal = true,
            Predicate::Field { field, .. } => self.asked.push(field.clone()),
            Predicate::All | Predicate::Text(_) | Predicate::Id(_) | Predicate::IsRoot | Predicate::HasException => {}
        }
    }

    fn asks(&self, place: &ComparedPlace) -> bool {
        let is_column = |name: &str, field: &Field| match field {
            Field::Service => name == column::SERVICE_NAME,
            Field::Severity => name == column::SEVERITY_NUMBER,
            Field::Name => name == column::NAME,
            Field::EventName => name == column::EVENT_NAME,
            Field::Status => name == column::STATUS_CODE,
            Field::StatusMessage => name == column::STATUS_MESSAGE,
            Field::SpanKind => name == column::KIND,
            Field::Time | Field::Body | Field::Duration | Field::Any(_) | Field::Attribute(_) | Field::Resource(_) => false,
        };
        match place {
            ComparedPlace::Signal => self.asks_signal,
            ComparedPlace::Column(name) => self.asked.iter().any(|field| is_column(name, field)),
            ComparedPlace::Attribute(key) => {
                self.asked.iter().any(|field| matches!(field, Field::Any(keys) | Field::Attribute(keys) if keys.contains(key)))
            }
            ComparedPlace::Resource(key) => {
                self.asked.iter().any(|field| matches!(field, Field::Any(keys) | Field::Resource(keys) if keys.contains(key)))
            }
        }
    }

    /// The answer of what was counted.
    pub(crate) fn answer(&self, compared: Compared) -> CompareAnswer {
        let Compared { fields: all, records, more, coverage } = compared;
        let (mut fields, mut skipped) = (Vec::new(), Vec::new());
        for (place, counted) in &all {
            let field = name(place, |key| all.contains_key(&ComparedPlace::Attribute(key.to_owned())));
            let difference = match reason_to_skip(counted).filter(|_| !self.asks(place)) {
                None if self.asks(place) => Err("the query asks for it".to_owned()),
                Some(reason) => Err(reason),
                None => difference(&field, counted, records).ok_or_else(|| "it differs no more than by chance".to_owned()),
            };
            match difference {
                Ok(difference) => fields.push(difference),
                Err(reason) => skipped.push(SkippedField { field, reason }),
            }
        }
        fields.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.field.cmp(&other.field)));
        let total = fields.len();
        fields.truncate(self.limit);
        skipped.sort_by(|one, other| one.reason.cmp(&other.reason).then_with(|| one.field.cmp(&other.field)));
        let [selected_total, baseline_total] = records;
        CompareAnswer { fields, total, selected_total, baseline_total, skipped, more, completeness: completeness(&coverage) }
    }
}

/// As a query names the field.
fn name(place: &ComparedPlace, is_attribute: impl Fn(&str) -> bool) -> String {
    match place {
        ComparedPlace::Signal => "kind".to_owned(),
        ComparedPlace::Column(column) => column_name(column).unwrap_or(column).to_owned(),
        ComparedPlace::Attribute(key) => attribute_name(key),
        ComparedPlace::Resource(key) => resource_name(key, is_attribute(key)),
    }
}

/// Why a field says nothing of the difference, if so.
fn reason_to_skip(field: &ComparedField) -> Option<String> {
    let (values, records) = (field.values.len(), field.present.iter().sum::<u64>());
    match field.left_out {
        Some(LeftOut::Ids) => Some("it holds request ids".to_owned()),
        Some(LeftOut::TooMany) => Some(format!("it has too many values to compare, on {records} records")),
        None if values > UNIQUE_VALUES_MIN && values as u64 * RECORDS_PER_VALUE_MIN > records => {
            Some(format!("it is nearly unique: {values} values on {records} records"))
        }
        None => None,
    }
}

/// The values of a field whose shares differ, the most different first; none if no share differs.
fn difference(name: &str, field: &ComparedField, records: Sides) -> Option<FieldDifference> {
    let value = |value: Option<&String>, [selected, baseline]: Sides, [selected_total, baseline_total]: Sides| {
        let score = certain_difference([selected, baseline], [selected_total, baseline_total]);
        ValueDifference { value: value.cloned(), selected, selected_total, baseline, baseline_total, score }
    };
    // A record with the field is compared with others that have it, and that a record has it not with all.
    let absent = [records[0] - field.present[0], records[1] - field.present[1]];
    let mut values: Vec<ValueDifference> = field.values.iter().map(|(text, counts)| value(Some(text), *counts, field.present)).collect();
    values.extend((absent != [0, 0]).then(|| value(None, absent, records)));
    let order = |one: &ValueDifference, other: &ValueDifference| {
        let certain = other.score.abs().total_cmp(&one.score.abs());
        certain.then_with(|| other.selected.cmp(&one.selected)).then_with(|| one.value.cmp(&other.value))
    };
    values.sort_by(order);
    let score = values.first().map_or(0.0, |most| most.score.abs());
    values.truncate(COMPARE_VALUES);
    (score > 0.0).then(|| FieldDifference { field: name.to_owned(), values, score })
}

/// How far two shares differ for certain, from -1 to 1; 0 if they may be equal.
fn certain_difference(counts: Sides, totals: Sides) -> f64 {
    if totals.contains(&0) {
        return 0.0;
    }
    let [(one, one_low, one_high), (other, other_low, other_high)] = [0, 1].map(|side| share(counts[side], totals[side]));
    let low = one - other - ((one - one_low).powi(2) + (other_high - other).powi(2)).sqrt();
    let high = one - other + ((one_high - one).powi(2) + (other - other_low).powi(2)).sqrt();
    if low > 0.0 {
        low
    } else if high < 0.0 {
        high
    } else {
        0.0
    }
}

/// A share, and between which it lies (Wilson, Journal of the American Statistical Association 22 (1927), 209-212).
fn share(count: u64, total: u64) -> (f64, f64, f64) {
    let (count, total, square) = (count as f64, total as f64, CERTAINTY * CERTAINTY);
    let share = count / total;
    let middle = share + square / (2.0 * total);
    let half = CERTAINTY * (share * (1.0 - share) / total + square / (4.0 * total * total)).sqrt();
    let scale = 1.0 + square / total;
    (share, ((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use needle_storage::model::UnixNanos;

    use super::*;

    fn field(present: Sides, values: &[(&str, Sides)], left_out: Option<LeftOut>) -> ComparedField {
        let values = values.iter().map(|(value, counts)| ((*value).to_owned(), *counts)).collect();
        ComparedField { present, values, left_out, ..ComparedField::default() }
    }

    fn request(query: &str) -> CompareRequest {
        CompareRequest { query: query.to_owned(), ..CompareRequest::default() }
    }

    #[test]
    fn the_interval_is_that_of_the_paper() {
        // Newcombe's example (a), 56/70 and 48/80, at 95 %: 0.0524 to 0.3339. Ours is wider by the greater certainty.
        let score = certain_difference([56, 48], [70, 80]);
        assert_eq!(score, 0.0, "with 99.9 % they may be equal");
        let many = certain_difference([5_600, 4_800], [7_000, 8_000]);
        assert!((0.17..0.2).contains(&many), "{many}");
        assert!((certain_difference([4_800, 5_600], [8_000, 7_000]) + many).abs() < 1e-12, "it is the same seen from the other side");
        assert_eq!(certain_difference([1, 0], [1, 0]), 0.0);
        assert!(certain_difference([3, 0], [3, 1_000]) > certain_difference([3, 0], [300, 1_000]));
    }

    proptest::proptest! {
        #[test]
        fn what_is_certain_is_never_more_than_what_is_seen(selected in 0..200_u64, more in 0..200_u64, baseline in 0..200_u64, others in 0..200_u64) {
            let (counts, totals) = ([selected, baseline], [selected + more, baseline + others]);
            let score = certain_difference(counts, totals);
            if totals.contains(&0) {
                proptest::prop_assert_eq!(score, 0.0);
            } else {
                let seen = selected as f64 / totals[0] as f64 - baseline as f64 / totals[1] as f64;
                proptest::prop_assert!(score.abs() <= seen.abs() && score * seen >= 0.0, "{} of {}", score, seen);
            }
        }
    }

    #[test]
    fn what_differs_most_comes_first_and_what_says_nothing_is_named() {
        let attribute = |key: &str| ComparedPlace::Attribute(key.to_owned());
        let numbers: Vec<(String, Sides)> = (0..60).map(|number| (number.to_string(), [1, 0])).collect();
        let numbers: Vec<(&str, Sides)> = numbers.iter().map(|(text, counts)| (text.as_str(), *counts)).collect();
        let fields = BTreeMap::from([
            (ComparedPlace::Column(column::STATUS_CODE), field([100, 900], &[("error", [100, 0]), ("ok", [0, 900])], None)),
            (ComparedPlace::Column(column::SERVICE_NAME), field([100, 900], &[("cart", [60, 450]), ("web", [40, 450])], None)),
            (attribute("zone"), field([90, 300], &[("a", [85, 20]), ("b", [5, 280])], None)),
            (attribute("route"), field([100, 900], &[("/cart", [100, 300]), ("/", [0, 600])], None)),
            (attribute("customer"), field([60, 0], &numbers, None)),
            (attribute("size"), field([100, 900], &[], Some(LeftOut::TooMany))),
            (attribute("code"), field([9, 9], &[], Some(LeftOut::Ids))),
            (ComparedPlace::Resource("zone".to_owned()), field([50, 0], &[("x", [50, 0])], None)),
        ]);
        let plan = Plan::of(&request("status:error")).expect("a plan");
        let answer = plan.answer(Compared { fields, records: [100, 900], ..Compared::default() });
        let names: Vec<&str> = answer.fields.iter().map(|field| field.field.as_str()).collect();
        assert_eq!(names, ["zone", "route", "resource.zone"]);
        let zone = &answer.fields[0];
        let seen: Vec<_> = zone.values.iter().map(|value| (value.value.as_deref(), value.selected, value.baseline_total)).collect();
        assert_eq!(seen, [(Some("a"), 85, 300), (Some("b"), 5, 300), (None, 10, 900)]);
        assert!(zone.values[0].score > 0.7 && zone.values[1].score < -0.7 && zone.values[2].score < -0.3, "{zone:?}");
        let skipped: Vec<(&str, &str)> = answer.skipped.iter().map(|skipped| (skipped.field.as_str(), skipped.reason.as_str())).collect();
        assert_eq!(
            skipped,
            [
                ("service", "it differs no more than by chance"),
                ("size", "it has too many values to compare, on 1000 records"),
                ("code", "it holds request ids"),
                ("customer", "it is nearly unique: 60 values on 60 records"),
                ("status", "the query asks for it"),
            ]
        );
        assert_eq!((answer.selected_total, answer.baseline_total, answer.total), (100, 900, 3));
    }

    #[test]
    fn the_fields_of_both_queries_are_no_news() {
        let plan =
            Plan::of(&CompareRequest { baseline: Some("-env:a kind:span".to_owned()), ..request("(level:warn OR x) http.route:/a") });
        let plan = plan.expect("a plan");
        assert!(plan.asks(&ComparedPlace::Signal) && plan.asks(&ComparedPlace::Column(column::SEVERITY_NUMBER)));
        assert!(plan.asks(&ComparedPlace::Attribute("http.route".to_owned())));
        assert!(plan.asks(&ComparedPlace::Resource("deployment.environment.name".to_owned())));
        assert!(!plan.asks(&ComparedPlace::Column(column::NAME)));
    }

    #[test]
    fn unusable_parameters_are_refused_with_a_sentence() {
        let refused = |request: CompareRequest| Plan::of(&request).map(|_| ()).expect_err("refused").to_string();
        assert!(refused(request("*")).contains("selects every record"));
        assert!(refused(CompareRequest { limit: Some(0), ..request("a") }).contains("1 or more"));
        assert!(refused(CompareRequest { start: Some(UnixNanos(2)), end: Some(UnixNanos(1)), ..request("a") }).contains("swap them"));
        assert!(refused(CompareRequest { baseline: Some("kind:x".to_owned()), ..request("a") }).contains("not a kind"));
    }
}
