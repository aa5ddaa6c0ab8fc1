//! The table of routes. A route is added with what a request to it needs, and there is no other way to add one:
//! so no handler runs before [`authorize`] has let the request through.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

use super::authorize::{Checkpoint, authorize};
use super::pages::FileService;
use super::state::AppState;
use crate::access::Scope;

/// What a request to a route needs. In the mode `local` every request has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: what is there belongs to nobody.
    Nothing,
    /// A person, signed in or by a key with this scope.
    Person(Scope),
    /// A person by a key with this scope. With accounts, a session is not enough, because the route is for programs.
    Key(Scope),
    /// A person who is signed in.
    Session,
    /// An admin who is signed in.
    Admin,
}

/// A row of the table, for tests.
#[derive(Debug, Clone)]
pub struct RouteInfo {
    /// The methods of the route. Files and the response for unknown paths have `GET` only.
    pub methods: &'static [&'static str],
    /// The path, with the names of its parameters in braces.
    pub path: String,
    /// What a request needs.
    pub needs: Needs,
}

/// Routes that are being collected.
pub(super) struct Routes {
    state: AppState,
    router: Router<AppState>,
    table: Vec<RouteInfo>,
}

impl Routes {
    pub(super) fn new(state: &AppState) -> Self {
        Self {
            state: state.clone(),
            router: Router::new(),
            table: Vec::new(),
        }
    }

    /// Adds a route with these methods. `HEAD` comes with `GET`.
    pub(super) fn add(
        mut self,
        methods: &'static [&'static str],
        path: &str,
        needs: Needs,
        handlers: MethodRouter<AppState>,
    ) -> Self {
        self.note(methods, path, needs);
        let handlers = handlers.layer(from_fn_with_state(self.checkpoint(needs), authorize));
        Self {
            router: self.router.route(path, handlers),
            ..self
        }
    }

    /// Adds the files of a folder, or another service, below a path.
    pub(super) fn add_files(mut self, path: &str, needs: Needs, files: FileService) -> Self {
        self.note(&["GET"], &format!("{path}/{{*file}}"), needs);
        let files = self.checked(needs, files);
        Self {
            router: self.router.nest_service(path, files),
            ..self
        }
    }

    /// Sets the response for paths that no route has.
    pub(super) fn otherwise(mut self, needs: Needs, service: FileService) -> Self {
        self.note(&["GET"], "/{*unknown}", needs);
        let service = self.checked(needs, service);
        Self {
            router: self.router.fallback_service(service),
            ..self
        }
    }

    /// Puts layers around the routes that were added before.
    pub(super) fn layered(self, layers: impl FnOnce(Router<AppState>) -> Router<AppState>) -> Self {
        Self {
            router: layers(self.router),
            ..self
        }
    }

    /// Adds the routes of another table.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.table.extend(other.table);
        Self {
            router: self.router.merge(other.router),
            ..self
        }
    }

    /// The routes and their table.
    pub(super) fn finish(self) -> (Router<AppState>, Vec<RouteInfo>) {
        (self.router, self.table)
    }

    fn note(&mut self, methods: &'static [&'static str], path: &str, needs: Needs) {
        self.table.push(RouteInfo {
            methods,
            path: path.to_owned(),
            needs,
        });
    }

    fn checkpoint(&self, needs: Needs) -> Arc<Checkpoint> {
        Arc::new(Checkpoint {
            state: self.state.clone(),
            needs,
        })
    }

    fn checked(&self, needs: Needs, service: FileService) -> FileService {
        let service = from_fn_with_state(self.checkpoint(needs), authorize)
            .layer(service)
            .map_response(IntoResponse::into_response);
        BoxCloneSyncService::<Request, Response, _>::new(service)
    }
}

/// A router that leaves all requests to another one. A layer around it runs before a route is chosen.
pub(super) fn before_routes(routes: Router) -> Router {
    Router::new().fallback_service(routes)
}
