//! The API, one module per version, and its description.

pub(crate) mod v1;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::access::{Routes, TOKEN};
use crate::operate;

/// The description of the API as OpenAPI 3.1, in the bytes that `GET /api/openapi.json` answers and `web/openapi.json` keeps.
pub fn openapi_json() -> String {
    let (description, _) = routes().split();
    let mut json = description.to_pretty_json().expect("the description holds only strings, numbers and maps");
    json.push('\n');
    json
}

/// All documented routes.
pub(crate) fn routes() -> Routes {
    operate::routes(v1::routes(Routes::new(Description::openapi())))
}

/// How tokens are shown.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let words =
            "Made by `needle token create`. Without tokens, none is needed on loopback; once one was made, every request needs one.";
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words)).build());
        description.components.get_or_insert_default().add_security_scheme(TOKEN, scheme);
    }
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
    paths(v1::logs::import_logs, v1::session::session, v1::session::sign_in, v1::session::sign_out),
    modifiers(&Tokens),
    components(schemas(v1::tail::Gap)),
    tags(
        (name = "records", description = "Log records and spans"),
        (name = "fields", description = "What can be asked for"),
        (name = "journeys", description = "Everything reached from one id, in one tree"),
        (name = "services", description = "Who sends"),
        (name = "import", description = "Records in"),
        (name = "session", description = "Browsers that show a token"),
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
    fn every_route_names_its_scope_or_is_known_to_need_none() {
        const OPEN: [&str; 3] = ["/healthz", "/readyz", "/api/v1/session"];
        let description: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        for (path, operations) in description["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let scopes = operation["security"][0][TOKEN].as_array();
                assert_eq!(scopes.is_none(), OPEN.contains(&path.as_str()), "{method} {path}");
                assert!(scopes.is_none_or(|scopes| scopes.len() == 1), "{method} {path}");
            }
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
