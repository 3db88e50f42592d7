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
pub(crate) mod session;
mod sql;
mod table;
pub(crate) mod tail;
mod time;
mod value;

use utoipa_axum::routes;

use crate::access::Access::{Admin, Read};
use crate::access::Routes;

/// The routes of this version.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .route(Read, routes!(search::search))
        .route(Read, routes!(search::count))
        .route(Read, routes!(aggregate::aggregate))
        .route(Read, routes!(histogram::histogram))
        .route(Read, routes!(fields::fields))
        .route(Read, routes!(fields::values))
        .route(Read, routes!(patterns::patterns))
        .route(Read, routes!(compare::compare))
        .route(Read, routes!(journeys::journeys))
        .route(Read, routes!(journey::journey))
        .route(Read, routes!(journey::skeleton))
        .route(Read, routes!(services::services))
        .route(Read, routes!(services_graph::graph))
        .route(Read, routes!(sql::sql))
        .route(Read, routes!(tail::tail))
        .route(Admin, routes!(delete::delete))
        .route(Admin, routes!(flush::flush))
}
