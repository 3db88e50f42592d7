//! What a caller needs for a route; no route is added without saying it.

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::web::Web;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing: it says nothing about anybody's records.
    Open,
    /// To be allowed to ask.
    Read,
    /// To be allowed everything.
    Admin,
}

/// The name of the scheme in the description of the API.
pub(crate) const TOKEN: &str = "token";

/// Routes with their description, by what they need.
pub(crate) struct Routes {
    description: OpenApi,
    groups: [(Access, OpenApiRouter<Web>); 3],
}

impl Routes {
    /// None yet, under this description.
    pub(crate) fn new(description: OpenApi) -> Routes {
        Routes { description, groups: [Access::Open, Access::Read, Access::Admin].map(|access| (access, OpenApiRouter::new())) }
    }

    /// And this one.
    pub(crate) fn route(mut self, access: Access, (schemas, mut paths, method_router): UtoipaMethodRouter<Web>) -> Routes {
        if let Some(scope) = access.scope() {
            for operation in paths.paths.values_mut().flat_map(operations) {
                operation.security = Some(vec![SecurityRequirement::new(TOKEN, [scope])]);
            }
        }
        for (of, group) in &mut self.groups {
            if *of == access {
                *group = std::mem::take(group).routes((schemas, paths, method_router));
                break;
            }
        }
        self
    }

    /// The description of all routes, and the routes by what they need.
    pub(crate) fn split(self) -> (OpenApi, [(Access, Router<Web>); 3]) {
        let mut description = self.description;
        let groups = self.groups.map(|(access, group)| {
            let (router, of_group) = group.split_for_parts();
            description.merge(of_group);
            (access, router)
        });
        (description, groups)
    }
}

impl Access {
    /// The scope of a token that is enough.
    fn scope(self) -> Option<&'static str> {
        match self {
            Access::Open => None,
            Access::Read => Some("read"),
            Access::Admin => Some("admin"),
        }
    }
}

fn operations(item: &mut utoipa::openapi::PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().filter_map(Option::as_mut)
}
