//! The columns of a shard: those of its signal, and one for each attribute key that many of its rows have.
//!
//! Such a column is typed and compresses alone; what has no column of its own, or in some row a value of
//! another kind than its column, stays in the general map, whole and with its type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Array, Int64Builder, RecordBatch, StringBuilder,
    StringDictionaryBuilder, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::model::{AttributesBuilder, ColumnValue, RecordsView, Signal, ValueKind, attribute_column, column, dictionary_type};

/// Rows looked at to choose the columns of a shard.
const SAMPLE_ROWS: usize = 16_384;
/// A key has a column of its own when one of so many rows has it, so many rows at least, and the key is no longer.
const OWN_COLUMN_SHARE: usize = 32;
/// (In tests two rows suffice, so that small shards have such columns too.)
const OWN_COLUMN_ROWS_MIN: usize = if cfg!(test) { 2 } else { 256 };
const OWN_COLUMN_KEY_BYTES_MAX: usize = 128;
/// Columns of attributes in a shard.
const OWN_COLUMNS_MAX: usize = 64;

/// The attribute columns of a shard.
#[derive(Debug)]
pub(super) struct Layout {
    signal: Signal,
    schema: SchemaRef,
    own: Vec<OwnColumn>,
    /// Which of `own` a key has.
    slots: HashMap<String, usize, ahash::RandomState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnColumn {
    key: String,
    kind: ValueKind,
    /// Whether values repeat, so that a dictionary of them pays.
    repeats: bool,
}

/// What was seen of a key with values of one kind.
#[derive(Default)]
struct Observed {
    rows: usize,
    distinct: HashSet<u64, ahash::RandomState>,
}

impl Layout {
    /// The columns for these rows, chosen by what a sample of them has.
    pub(super) fn choose(signal: Signal, views: &[RecordsView<'_>]) -> Layout {
        let rows: usize = views.iter().map(RecordsView::len).sum();
        let stride = rows.div_ceil(SAMPLE_ROWS).max(1);
        let mut observed: HashMap<(&str, ValueKind), Observed, ahash::RandomState> = HashMap::default();
        let hash = ahash::RandomState::with_seeds(1, 2, 3, 4);
        let mut sampled = 0;
        for view in views {
            for row in (0..view.len()).step_by(stride) {
                sampled += 1;
                let request_id = view.request_id(row);
                for (key, value) in view.attributes(row).filter(|(_, value)| has_column(value.kind()) && !is_text(value, request_id)) {
                    let seen = observed.entry((key, value.kind())).or_default();
                    seen.rows += 1;
                    seen.distinct.insert(hash.hash_one(value.text()));
                }
            }
        }
        let enough = (sampled / OWN_COLUMN_SHARE).max(OWN_COLUMN_ROWS_MIN.div_ceil(stride));
        let mut frequent: Vec<((&str, ValueKind), Observed)> =
            observed.into_iter().filter(|((key, _), seen)| seen.rows >= enough && key.len() <= OWN_COLUMN_KEY_BYTES_MAX).collect();
        // The more frequent kind of a key first; else by name, so that equal input gives equal shards.
        frequent.sort_by(|((a, kind_a), seen_a), ((b, kind_b), seen_b)| {
            seen_b.rows.cmp(&seen_a.rows).then(a.cmp(b)).then(kind_a.letter().cmp(&kind_b.letter()))
        });
        let mut keys = HashSet::new();
        let mut own: Vec<OwnColumn> = frequent
            .into_iter()
            .filter(|((key, _), _)| keys.insert(*key))
            .take(OWN_COLUMNS_MAX)
            .map(|((key, kind), seen)| OwnColumn { key: key.to_owned(), kind, repeats: seen.distinct.len() * 2 < seen.rows })
            .collect();
        own.sort_by(|a, b| a.key.cmp(&b.key));
        Layout::of(signal, own)
    }

    fn of(signal: Signal, own: Vec<OwnColumn>) -> Layout {
        let mut fields: Vec<Arc<Field>> = signal.schema().fields().iter().map(shard_field).collect();
        fields.push(Arc::new(Field::new(column::REQUEST_ID_KEY, dictionary_type(), true)));
        fields.extend(own.iter().map(|column| Arc::new(Field::new(attribute_column(&column.key), data_type(column.kind), true))));
        let slots = own.iter().enumerate().map(|(slot, column)| (column.key.clone(), slot)).collect();
        Layout { signal, schema: Arc::new(Schema::new(fields)), own, slots }
    }

    /// The columns, with the attributes' own ones last.
    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Columns whose values seldom repeat, so that a dictionary does not pay.
    pub(super) fn values_that_differ(&self) -> impl Iterator<Item = (String, ValueKind)> {
        self.own.iter().filter(|column| !column.repeats).map(|column| (attribute_column(&column.key), column.kind))
    }

    /// The rows of `batches` that `order` names, by batch and row, in these columns.
    pub(super) fn gather(
        &self,
        batches: &[RecordBatch],
        views: &[RecordsView<'_>],
        order: &[(usize, usize)],
    ) -> Result<RecordBatch, ArrowError> {
        let own = Gathered::new(self, views).fill(order);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        let fixed = self.signal.schema().fields().len() + 1;
        for field in &self.schema.fields()[..fixed] {
            columns.push(match field.name().as_str() {
                column::ATTRIBUTES => own.others.clone(),
                column::ATTRIBUTE_TYPES => own.other_types.clone(),
                column::REQUEST_ID_KEY => own.request_keys.clone(),
                column::OBSERVED_AFTER => Arc::new(observed_after(views, order)),
                _ => gather_column(field, batches, order)?,
            });
        }
        columns.extend(own.columns);
        RecordBatch::try_new(self.schema(), columns)
    }
}

fn has_column(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::String | ValueKind::Int | ValueKind::Double | ValueKind::Bool)
}

fn data_type(kind: ValueKind) -> DataType {
    match kind {
        ValueKind::Int => DataType::Int64,
        ValueKind::Double => DataType::Float64,
        ValueKind::Bool => DataType::Boolean,
        _ => DataType::Utf8,
    }
}

/// The column of a shard for one of its signal.
fn shard_field(field: &Arc<Field>) -> Arc<Field> {
    match field.name().as_str() {
        column::OBSERVED_TIMESTAMP => Arc::new(Field::new(column::OBSERVED_AFTER, DataType::Int64, true)),
        _ => field.clone(),
    }
}

fn observed_after(views: &[RecordsView<'_>], order: &[(usize, usize)]) -> Int64Array {
    order.iter().map(|(view, row)| views[*view].observed_after(*row)).collect()
}

fn gather_column(field: &Field, batches: &[RecordBatch], order: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
    // A shard of an older format may lack a column.
    let source = |batch: &RecordBatch| {
        batch.column_by_name(field.name()).cloned().unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    let sources: Vec<ArrayRef> = batches.iter().map(source).collect();
    interleave(&sources.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>(), order)
}

/// The attributes of rows, in their columns.
struct GatheredAttributes {
    columns: Vec<ArrayRef>,
    others: ArrayRef,
    other_types: ArrayRef,
    request_keys: ArrayRef,
}

struct Gathered<'a> {
    layout: &'a Layout,
    views: &'a [RecordsView<'a>],
    /// Of each view: the slots of its own columns.
    slots: Vec<Vec<Option<usize>>>,
    columns: Vec<ColumnBuilder>,
    others: AttributesBuilder,
    request_keys: StringDictionaryBuilder<Int32Type>,
}

impl<'a> Gathered<'a> {
    fn new(layout: &'a Layout, views: &'a [RecordsView<'a>]) -> Gathered<'a> {
        let slots =
            views.iter().map(|view| view.attribute_columns().iter().map(|own| layout.slots.get(own.key).copied()).collect()).collect();
        let columns = layout.own.iter().map(|own| ColumnBuilder::of(own.kind)).collect();
        Gathered { layout, views, slots, columns, others: AttributesBuilder::default(), request_keys: StringDictionaryBuilder::new() }
    }

    fn fill(mut self, order: &[(usize, usize)]) -> GatheredAttributes {
        for (at, (batch, row)) in order.iter().enumerate() {
            let view = &self.views[*batch];
            let request_id = view.request_id(*row);
            let mut request_key = None;
            let own = view.attribute_columns().iter().zip(&self.slots[*batch]);
            let own = own.filter_map(|(own, slot)| Some((own.key, *slot, own.get(*row)?)));
            let others = view.other_attributes(*row).map(|(key, value)| (key, self.layout.slots.get(key).copied(), value));
            for (key, slot, value) in own.chain(others) {
                if request_key.is_none() && is_text(&value, request_id) {
                    request_key = Some(key);
                } else {
                    place(&mut self.columns, &mut self.others, slot, at, key, value);
                }
            }
            self.request_keys.append_option(request_key);
            self.others.finish_row();
        }
        let (others, other_types) = self.others.finish();
        GatheredAttributes {
            columns: self.columns.into_iter().map(|column| column.finish(order.len())).collect(),
            others,
            other_types,
            request_keys: Arc::new(self.request_keys.finish()),
        }
    }
}

/// Whether a value is the text.
fn is_text(value: &ColumnValue<'_>, text: Option<&str>) -> bool {
    matches!(value, ColumnValue::Text(ValueKind::String, value) if Some(*value) == text)
}

/// Into the key's own column if it has one of that kind, else to the others.
fn place(columns: &mut [ColumnBuilder], others: &mut AttributesBuilder, slot: Option<usize>, at: usize, key: &str, value: ColumnValue<'_>) {
    let placed = slot.is_some_and(|slot| columns[slot].append(at, value));
    if !placed {
        others.push_with(key, value.kind(), |text| text.push_str(&value.text()));
    }
}

enum ColumnBuilder {
    Text(StringBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl ColumnBuilder {
    fn of(kind: ValueKind) -> ColumnBuilder {
        match kind {
            ValueKind::Int => ColumnBuilder::Int(Int64Builder::new()),
            ValueKind::Double => ColumnBuilder::Double(Float64Builder::new()),
            ValueKind::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
            _ => ColumnBuilder::Text(StringBuilder::new()),
        }
    }

    /// Appends the value of row `at`, after nulls for the rows before it that had none. False when the value is
    /// of another kind.
    fn append(&mut self, at: usize, value: ColumnValue<'_>) -> bool {
        match self {
            ColumnBuilder::Text(texts) => {
                let ColumnValue::Text(ValueKind::String, text) = value else { return false };
                texts.append_nulls(at - texts.len());
                texts.append_value(text);
            }
            ColumnBuilder::Int(numbers) => {
                let Some(number) = value.integer().filter(|_| value.kind() == ValueKind::Int) else { return false };
                numbers.append_nulls(at - numbers.len());
                numbers.append_value(number);
            }
            ColumnBuilder::Double(numbers) => {
                let Some(number) = value.number().filter(|_| value.kind() == ValueKind::Double) else { return false };
                numbers.append_nulls(at - numbers.len());
                numbers.append_value(number);
            }
            ColumnBuilder::Bool(values) => {
                let truth = match value {
                    ColumnValue::Bool(truth) => truth,
                    ColumnValue::Text(ValueKind::Bool, text) => text == "true",
                    _ => return false,
                };
                values.append_nulls(at - values.len());
                values.append_value(truth);
            }
        }
        true
    }

    fn finish(self, rows: usize) -> ArrayRef {
        match self {
            ColumnBuilder::Text(mut texts) => {
                texts.append_nulls(rows - texts.len());
                Arc::new(texts.finish())
            }
            ColumnBuilder::Int(mut numbers) => {
                numbers.append_nulls(rows - numbers.len());
                Arc::new(numbers.finish())
            }
            ColumnBuilder::Double(mut numbers) => {
                numbers.append_nulls(rows - numbers.len());
                Arc::new(numbers.finish())
            }
            ColumnBuilder::Bool(mut values) => {
                values.append_nulls(rows - values.len());
                Arc::new(values.finish())
            }
        }
    }
}
