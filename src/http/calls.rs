//! The calls of the API: each has its handler, its path, and what a machine has to know of it, in one place beside the handler.
//!
//! What the handler's own type says is not said again: the roles that it takes, that it has a body, what its path names. The
//! rest is told here, and `/openapi.json` is made of it. A call without a description does not get past the tests.

mod call;
mod input;

use std::sync::Arc;

use axum::{Router, handler::Handler, routing};

pub(super) use self::{
    call::{Call, CallAnswer, Content, Limit, ParameterIn},
    input::{Input, Inputs, Needs},
};
use super::Api;

/// Calls, and the routes that lead to them. There is no way to a route without a description: a module that has handlers has a
/// function `calls`, such as `src/http/deferred.rs`, and a line in `calls` of `src/http/mod.rs`.
pub(super) struct Calls {
    router: Router<Arc<Api>>,
    described: Vec<Call>,
}

macro_rules! methods {
    ($($(#[$meta:meta])* $name:ident = $word:literal;)+) => {
        impl Calls {$(
            $(#[$meta])*
            pub(super) fn $name<H, T>(self, path: &'static str, handler: H, describe: impl FnOnce(Call) -> Call) -> Self
            where
                H: Handler<T, Arc<Api>>,
                T: Inputs + 'static,
            {
                let call = describe(Call::new($word, path, T::needs()));
                self.with(call, routing::$name(handler))
            }
        )+}
    };
}

methods! {
    /// `GET`
    get = "get";
    /// `POST`
    post = "post";
    /// `DELETE`
    delete = "delete";
}

impl Calls {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(),
            described: Vec::new(),
        }
    }

    /// The calls of another module as well.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    fn with(mut self, call: Call, methods: routing::MethodRouter<Arc<Api>>) -> Self {
        self.router = self.router.route(call.path, methods);
        self.described.push(call);
        self
    }

    /// Where they lead.
    pub(super) fn into_router(self) -> Router<Arc<Api>> {
        self.router
    }

    /// What was told of them.
    pub(super) fn into_described(self) -> Vec<Call> {
        self.described
    }
}
