//! Version 1 of the API: wire types, conversions, handlers. `query` answers plain structs; JSON begins here.

mod aggregate;
mod compare;
mod completeness;
mod delete;
mod fields;
mod flush;
mod histogram;
mod journey;
mod journeys;
pub(crate) mod logs;
mod parameters;
mod patterns;
mod record;
mod respond;
mod search;
mod services;
mod services_graph;
mod sql;
mod table;
pub(crate) mod tail;
mod time;
mod value;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::web::Web;

/// The routes of this version.
pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(search::count))
        .routes(routes!(aggregate::aggregate))
        .routes(routes!(histogram::histogram))
        .routes(routes!(fields::fields))
        .routes(routes!(fields::values))
        .routes(routes!(patterns::patterns))
        .routes(routes!(compare::compare))
        .routes(routes!(journeys::journeys))
        .routes(routes!(journey::journey))
        .routes(routes!(journey::skeleton))
        .routes(routes!(services::services))
        .routes(routes!(services_graph::graph))
        .routes(routes!(sql::sql))
        .routes(routes!(tail::tail))
        .routes(routes!(delete::delete))
        .routes(routes!(flush::flush))
}
