//! Running a plan on this thread, until it is done or the asker has gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use needle_storage::ReadError;

use super::failure::{self, refused};
use super::records::{RecordsScan, Source};
use super::session::Memory;
use super::withdraw::{with_asker, with_turns};
use crate::error::QueryError;
use crate::limits::{SQL_SCANS_MAX, WITHDRAWN_POLL_MS};
use crate::search::completeness;
use crate::table::{Table, plain};

/// Makes a plan and runs it. Computing takes this thread, reading some others.
pub(crate) fn run(
    source: &Source,
    memory: &Memory,
    text: &str,
    plan: impl AsyncFnOnce() -> Result<(SessionContext, LogicalPlan), QueryError>,
) -> Result<Table, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| QueryError::Storage(format!("no thread can be had to compute on: {error}")))?;
    let rows = runtime.block_on(async {
        let answer = async {
            let (context, plan) = plan().await?;
            rows(&context, plan, source, memory, text).await
        };
        tokio::select! {
            rows = answer => rows,
            () = withdrawn(source) => Err(ReadError::Cancelled.into()),
        }
    });
    // Threads that still read see that nobody takes what they read.
    runtime.shutdown_background();
    let (schema, batches, reserved) = rows?;
    Ok(Table::new(&schema, batches, Some(reserved), completeness(&source.coverage())))
}

async fn rows(
    context: &SessionContext,
    plan: LogicalPlan,
    source: &Source,
    memory: &Memory,
    text: &str,
) -> Result<(arrow::datatypes::SchemaRef, Vec<RecordBatch>, MemoryReservation), QueryError> {
    let failed = |error| failure::of(&error, text);
    let state = context.state();
    let plan = state.optimize(&plan).and_then(|plan| with_asker(plan, &source.withdrawn)).map_err(failed)?;
    let plan = state.query_planner().create_physical_plan(&plan, &state).await.and_then(with_turns).map_err(failed)?;
    if scans(&plan) > SQL_SCANS_MAX {
        return Err(refused(format!("tables are read more than {SQL_SCANS_MAX} times: ask in several statements")));
    }
    let schema = plan.schema();
    let mut stream = execute_stream(plan, context.task_ctx()).map_err(failed)?;
    let reserved = MemoryConsumer::new("answer").register(&memory.0);
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = plain(&batch.map_err(failed)?);
        reserved.try_grow(batch.get_array_memory_size()).map_err(failed)?;
        batches.push(batch);
    }
    Ok((schema, batches, reserved))
}

/// How often a plan reads a table.
fn scans(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = usize::from(plan.name() == RecordsScan::NAME);
    own + plan.children().into_iter().map(scans).sum::<usize>()
}

/// Ends when the asker has gone.
async fn withdrawn(source: &Source) {
    let mut polls = tokio::time::interval(Duration::from_millis(WITHDRAWN_POLL_MS));
    while !source.withdrawn.load(Ordering::Relaxed) {
        polls.tick().await;
    }
}
