//! Which aggregates may run along as windows: those whose state and answer are a number or two. Others keep, or sort, all
//! values before a row once for every row: a list for each of a million rows is more than any memory, and is in no pool.

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};

use super::failure::refused;
use crate::error::QueryError;

/// Beside these, all functions that are windows by nature (`row_number`, `lag` and so on) may.
const MAY_RUN_ALONG: [&str; 27] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "covar_samp",
    "covar_pop",
    "corr",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
    "first_value",
    "last_value",
    "regr_slope",
    "regr_intercept",
    "regr_count",
    "regr_r2",
    "regr_avgx",
    "regr_avgy",
    "any_value",
    "grouping",
];

/// Refuses a plan with other aggregates as windows.
pub(super) fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut other = None;
    let looked = plan.apply_with_subqueries(|plan| {
        if let LogicalPlan::Window(window) = plan {
            other = other.take().or_else(|| window.window_expr.iter().find_map(unbounded));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    looked.map_err(|error| refused(error.message().into_owned()))?;
    match other {
        None => Ok(()),
        Some(name) => Err(refused(format!(
            "{name} as a window would keep all values before each row: ask for it by group (GROUP BY), or for count, sum, avg, min or max"
        ))),
    }
}

fn unbounded(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Alias(alias) => unbounded(&alias.expr),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::AggregateUDF(aggregate) => {
                // How many different values there are is known at once; anything else of them is computed anew for every row.
                let may = MAY_RUN_ALONG.contains(&aggregate.name()) && (!function.params.distinct || aggregate.name() == "count");
                (!may).then(|| aggregate.name().to_owned())
            }
            WindowFunctionDefinition::WindowUDF(_) => None,
        },
        _ => None,
    }
}
