//! Tables of records: what DataFusion reads is read by storage, batch by batch, on threads that may block.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use needle_storage::model::UnixNanos;
use needle_storage::predicate::Predicate;
use needle_storage::{Coverage, Share, Snapshot, TableScan};
use parking_lot::Mutex;

use super::columns::{NamedColumn, Values};
use super::pushdown::{self, Condition};
use crate::limits::{SCAN_BATCHES_WAITING, SCAN_THREADS_MAX};

/// What all tables of one question read from.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Whether the asker has gone.
    pub(crate) withdrawn: Arc<AtomicBool>,
    /// What was read by each scan.
    covered: Arc<Mutex<Vec<Coverage>>>,
}

impl Source {
    pub(crate) fn new(snapshot: Arc<Snapshot>, withdrawn: Arc<AtomicBool>) -> Source {
        Source { snapshot, withdrawn, covered: Arc::default() }
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Relaxed)
    }

    /// What was read for the whole question: shards count once, however many scans read them.
    pub(crate) fn coverage(&self) -> Coverage {
        let mut all = Coverage::default();
        for scan in self.covered.lock().iter() {
            all.shards_searched = all.shards_searched.max(scan.shards_searched);
            all.failures.extend(scan.failures.iter().filter(|failure| !all.failures.contains(failure)).cloned().collect::<Vec<_>>());
        }
        all
    }

    /// Notes what was read beside the scans.
    pub(crate) fn note(&self, coverage: Coverage) {
        self.covered.lock().push(coverage);
    }

    /// A place for what one scan reads.
    fn scan_begins(&self) -> usize {
        let mut covered = self.covered.lock();
        covered.push(Coverage::default());
        covered.len() - 1
    }

    fn scan_read(&self, scan: usize, share: Coverage) {
        let covered = &mut self.covered.lock()[scan];
        covered.shards_searched += share.shards_searched;
        covered.failures.extend(share.failures);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Records that match, as a table of some columns.
#[derive(Debug)]
pub(crate) struct RecordsTable {
    source: Source,
    scan: TableScan,
    columns: Vec<NamedColumn>,
    schema: SchemaRef,
}

impl RecordsTable {
    /// The table of the records that match between two times.
    pub(crate) fn new(
        source: Source,
        predicate: Predicate,
        start: Option<UnixNanos>,
        end: Option<UnixNanos>,
        columns: Vec<NamedColumn>,
    ) -> RecordsTable {
        let schema = schema(&columns);
        RecordsTable { source, scan: TableScan { predicate, start, end, columns: Vec::new() }, columns, schema }
    }
}

/// In the metadata of a field: what its values are.
pub(crate) const VALUES_KEY: &str = "needle.values";

fn schema(columns: &[NamedColumn]) -> SchemaRef {
    let fields = columns.iter().map(|column| {
        let field = Field::new(&column.name, column.column.data_type(), true);
        let values = match column.values {
            Values::Json => "json",
            Values::Duration => "duration",
            Values::Plain | Values::Attribute { .. } => return field,
        };
        field.with_metadata([(VALUES_KEY.to_owned(), values.to_owned())].into())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[async_trait::async_trait]
impl TableProvider for RecordsTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<&NamedColumn> = match projection {
            Some(places) => places.iter().map(|place| &self.columns[*place]).collect(),
            None => self.columns.iter().collect(),
        };
        let mut scan = self.scan.clone();
        scan.columns = wanted.iter().map(|column| column.column.clone()).collect();
        let mut conditions = Vec::new();
        for told in filters.iter().filter_map(|filter| pushdown::told(filter, &self.columns)) {
            match told.condition {
                Condition::From(time) => scan.start = Some(scan.start.map_or(time, |start| start.max(time))),
                Condition::Before(time) => scan.end = Some(scan.end.map_or(time, |end| end.min(time))),
                Condition::Predicate(predicate) => conditions.push(predicate),
            }
        }
        if !conditions.is_empty() {
            scan.predicate = Predicate::And(std::iter::once(scan.predicate).chain(conditions).collect());
        }
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => self.schema.clone(),
        };
        Ok(Arc::new(RecordsScan::new(self.source.clone(), scan, schema, limit)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let told = |filter: &&Expr| match pushdown::told(filter, &self.columns) {
            Some(told) if told.exact => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(told).collect())
    }
}

/// Reading a table.
#[derive(Debug)]
pub(crate) struct RecordsScan {
    source: Source,
    scan: Arc<TableScan>,
    schema: SchemaRef,
    /// No more rows than these are needed.
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Where what it reads is noted.
    number: usize,
}

impl RecordsScan {
    /// As a plan shows it.
    pub(crate) const NAME: &'static str = "RecordsScan";

    fn new(source: Source, scan: TableScan, schema: SchemaRef, limit: Option<usize>) -> RecordsScan {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(SCAN_THREADS_MAX);
        let shares = threads.min(source.snapshot.parts()).max(1);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(shares),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let number = source.scan_begins();
        RecordsScan {
            source,
            scan: Arc::new(scan),
            schema,
            limit,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            number,
        }
    }

    fn shares(&self) -> usize {
        self.properties.output_partitioning().partition_count()
    }
}

impl DisplayAs for RecordsScan {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        if matches!(form, DisplayFormatType::TreeRender) {
            return writeln!(f, "columns={names}");
        }
        write!(f, "RecordsScan: columns=[{names}], predicate={:?}", self.scan.predicate)?;
        self.scan.start.map_or(Ok(()), |start| write!(f, ", from={}", start.0))?;
        self.scan.end.map_or(Ok(()), |end| write!(f, ", before={}", end.0))?;
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for RecordsScan {
    fn name(&self) -> &'static str {
        RecordsScan::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut stream = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), SCAN_BATCHES_WAITING);
        let reading = Reading {
            source: self.source.clone(),
            scan: self.scan.clone(),
            schema: self.schema.clone(),
            share: Share { number: partition, of: self.shares() },
            left: self.limit,
            metrics: BaselineMetrics::new(&self.metrics, partition),
            number: self.number,
        };
        let sender = stream.tx();
        stream.spawn_blocking(move || reading.run(|batch| sender.blocking_send(Ok(batch)).is_ok()));
        Ok(stream.build())
    }
}

/// One share of a scan while it is read.
struct Reading {
    source: Source,
    scan: Arc<TableScan>,
    schema: SchemaRef,
    share: Share,
    left: Option<usize>,
    metrics: BaselineMetrics,
    number: usize,
}

impl Reading {
    /// Reads on until `send` takes no more, there are enough rows, or the asker has gone.
    fn run(mut self, send: impl Fn(RecordBatch) -> bool) -> Result<()> {
        let (source, scan, share, number) = (self.source.clone(), self.scan.clone(), self.share, self.number);
        let cancelled = || source.is_withdrawn();
        let read = source.snapshot.table(&scan, share, &cancelled, &mut |batch| {
            let batch = self.named(batch);
            self.metrics.record_output(batch.num_rows());
            send(batch) && self.left != Some(0)
        });
        let coverage = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
        source.scan_read(number, coverage);
        Ok(())
    }

    /// The batch under the names of the table, no longer than is needed.
    fn named(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = self.left.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
        self.left = self.left.map(|left| left - rows);
        let batch = batch.slice(0, rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), batch.columns().to_vec(), &options)
            .expect("storage gives the columns that were asked for")
    }
}
