//! The API, one module per version, and its description.

pub(crate) mod v1;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::operate;
use crate::web::Web;

/// The description of the API as OpenAPI 3.1, in the bytes that `GET /api/openapi.json` answers and `web/openapi.json` keeps.
pub fn openapi_json() -> String {
    let (_, description) = routes().split_for_parts();
    let mut json = description.to_pretty_json().expect("the description holds only strings, numbers and maps");
    json.push('\n');
    json
}

/// All documented routes.
pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::with_openapi(Description::openapi()).merge(v1::routes()).merge(operate::routes())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "needle",
        description = "Logs and traces of a request, stitched into one tree, across every service. Times are RFC 3339 or \
                       unix nanoseconds in, RFC 3339 with nanoseconds out. Without `start` and `end` everything is searched. \
                       Every answer says in `completeness` what was searched and what was not. Every error has the body ErrorBody.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    paths(v1::logs::import_logs),
    components(schemas(v1::tail::Gap)),
    tags(
        (name = "records", description = "Log records and spans"),
        (name = "fields", description = "What can be asked for"),
        (name = "journeys", description = "Everything reached from one id, in one tree"),
        (name = "services", description = "Who sends"),
        (name = "import", description = "Records in"),
        (name = "operation", description = "Running the server")
    )
)]
struct Description;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_description_is_the_generated_one() {
        let committed = include_str!("../../openapi.json");
        assert!(
            openapi_json() == committed,
            "web/openapi.json is out of date; write it anew with\n\
             cargo run -p needle-web --no-default-features --example openapi -- web/openapi.json"
        );
    }

    #[test]
    fn every_route_of_the_contract_is_described() {
        let description: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        for (path, method) in [
            ("/api/v1/search", "get"),
            ("/api/v1/count", "get"),
            ("/api/v1/aggregate", "get"),
            ("/api/v1/sql", "post"),
            ("/api/v1/histogram", "get"),
            ("/api/v1/fields", "get"),
            ("/api/v1/fields/{name}/values", "get"),
            ("/api/v1/patterns", "get"),
            ("/api/v1/compare", "get"),
            ("/api/v1/journeys", "get"),
            ("/api/v1/journey/{id}", "get"),
            ("/api/v1/journey/{id}/skeleton", "get"),
            ("/api/v1/services", "get"),
            ("/api/v1/tail", "get"),
            ("/api/v1/logs", "post"),
            ("/api/v1/records", "delete"),
            ("/api/v1/admin/flush", "post"),
            ("/healthz", "get"),
            ("/readyz", "get"),
            ("/metrics", "get"),
        ] {
            assert!(description["paths"][path][method].is_object(), "{method} {path}");
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let json = openapi_json();
        let description: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut references = 0;
        for reference in json.split("\"$ref\": \"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(description.pointer(pointer).is_some(), "{pointer} is not described");
            references += 1;
        }
        assert!(references > 20, "{references}");
    }
}
