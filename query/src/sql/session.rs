//! What a statement can reach: our tables and functions that compute, in bounded memory. There is no file, no network and
//! no setting to be named, because nothing of the kind is there.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionStateDefaults, config::SessionConfig};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, GetFieldAccess};
use datafusion::prelude::SessionContext;

use super::columns::{KeyPlace, key_name};

/// Memory that all questions together compute in.
#[derive(Clone, Debug)]
pub(crate) struct Memory(pub(super) Arc<dyn MemoryPool>);

impl Memory {
    /// So many bytes; what would take more is refused.
    pub(crate) fn new(bytes_max: usize) -> Memory {
        const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");
        Memory(Arc::new(TrackConsumersPool::new(GreedyMemoryPool::new(bytes_max), CONSUMERS_NAMED)))
    }
}

/// Functions that are left out: a few letters make them fill memory before anybody counts it.
const LEFT_OUT: [&str; 8] = ["repeat", "lpad", "rpad", "space", "array_repeat", "array_resize", "range", "generate_series"];

/// Where a statement is planned and run.
pub(crate) fn context(memory: &Memory) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true)
        .with_default_catalog_and_schema("needle", "public");
    config.options_mut().sql_parser.collect_spans = true;
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory.0.clone()).with_disk_manager_builder(disk).build_arc()?;
    runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    let scalar = SessionStateDefaults::default_scalar_functions().into_iter();
    let safe = scalar.filter(|function| !is_left_out(function.name(), function.aliases())).collect();
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(KeyPlanner)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(planners)
        .with_scalar_functions(safe)
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build();
    Ok(SessionContext::new_with_state(state))
}

fn is_left_out(name: &str, aliases: &[String]) -> bool {
    LEFT_OUT.contains(&name) || aliases.iter().any(|alias| LEFT_OUT.contains(&alias.as_str()))
}

/// Makes `attributes['key']` the column of that key, which alone is then read.
#[derive(Debug)]
struct KeyPlanner;

impl ExprPlanner for KeyPlanner {
    fn plan_field_access(&self, access: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let (Expr::Column(column), GetFieldAccess::NamedStructField { name: ScalarValue::Utf8(Some(key)) }) =
            (&access.expr, &access.field_access)
        else {
            return Ok(PlannerResult::Original(access));
        };
        let place = match column.name.as_str() {
            "attributes" => KeyPlace::Attributes,
            "resource" => KeyPlace::Resource,
            _ => return Ok(PlannerResult::Original(access)),
        };
        let mut of_key = column.clone();
        of_key.name = key_name(place, key);
        if !schema.has_column(&of_key) {
            return plan_err!("{} can be asked of the tables logs and spans only: name it in the SELECT that reads them", of_key.name);
        }
        Ok(PlannerResult::Planned(Expr::Column(of_key)))
    }
}
