//! Joins that end when the asker has gone. A join may compare for hours before it has a row that anybody takes, and
//! everything else in a plan waits for rows.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use needle_storage::ReadError;

/// The plan, whose joins look whether the asker is there whenever they try their condition. Of an optimised plan: the optimiser
/// cannot look through what is added.
pub(super) fn with_asker(plan: LogicalPlan, withdrawn: &Arc<AtomicBool>) -> Result<LogicalPlan> {
    let asked = ScalarUDF::new_from_impl(WhileAsked::new(withdrawn.clone()));
    let plan = plan.transform_up_with_subqueries(|plan| {
        Ok(match plan {
            LogicalPlan::Join(mut join) if join.filter.is_some() => {
                join.filter = join.filter.map(|condition| asked.call(vec![condition]));
                Transformed::yes(LogicalPlan::Join(join))
            }
            other => Transformed::no(other),
        })
    });
    plan.map(|plan| plan.data)
}

/// The plan, whose joins let others have their turn after some batches, so that whoever looks out for the asker is heard.
pub(super) fn with_turns(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|plan| {
        let makes_much_of_little = plan.name().ends_with("JoinExec") || plan.name() == "UnnestExec";
        Ok(if makes_much_of_little { Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _) } else { Transformed::no(plan) })
    });
    plan.map(|plan| plan.data)
}

/// A condition, as long as somebody asks.
#[derive(Debug)]
struct WhileAsked {
    withdrawn: Arc<AtomicBool>,
    signature: Signature,
}

impl WhileAsked {
    fn new(withdrawn: Arc<AtomicBool>) -> WhileAsked {
        let condition = TypeSignature::Exact(vec![DataType::Boolean]);
        WhileAsked { withdrawn, signature: Signature::new(condition, Volatility::Stable) }
    }
}

impl PartialEq for WhileAsked {
    fn eq(&self, other: &WhileAsked) -> bool {
        Arc::ptr_eq(&self.withdrawn, &other.withdrawn)
    }
}

impl Eq for WhileAsked {}

impl Hash for WhileAsked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.withdrawn).hash(state);
    }
}

impl ScalarUDFImpl for WhileAsked {
    fn name(&self) -> &str {
        "while_asked"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.withdrawn.load(Ordering::Relaxed) {
            return Err(DataFusionError::External(Box::new(ReadError::Cancelled)));
        }
        match <[ColumnarValue; 1]>::try_from(args.args) {
            Ok([condition]) => Ok(condition),
            Err(_) => internal_err!("while_asked takes one condition"),
        }
    }
}
