//! What a handler's type says of its call.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::super::{
    Api,
    auth::{By, Roles},
    body::Payload,
    query::{Id, Lane, Named},
};

/// What a call takes.
#[derive(Default)]
pub(in super::super) struct Needs {
    /// The names of the roles that may make it; none: everybody.
    pub(in super::super) roles: Option<&'static str>,
    /// Whether it has a body.
    pub(in super::super) body: bool,
    /// Whether it reads a query.
    pub(in super::super) query: bool,
    /// What the path names, in its order: what it is, and its schema.
    pub(in super::super) path: Vec<(&'static str, SchemaOf)>,
}

/// What makes the schema of a type.
pub(in super::super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One argument of a handler.
pub(in super::super) trait Input {
    /// Adds what it takes of the call.
    fn tell(needs: &mut Needs);
}

/// All arguments of a handler, as axum numbers them.
pub(in super::super) trait Inputs {
    /// What they take together.
    fn needs() -> Needs;
}

impl Inputs for ((),) {
    fn needs() -> Needs {
        Needs::default()
    }
}

macro_rules! inputs {
    ($($input:ident),+) => {
        impl<M, $($input: Input),+> Inputs for (M, $($input,)+) {
            fn needs() -> Needs {
                let mut needs = Needs::default();
                $($input::tell(&mut needs);)+
                needs
            }
        }
    };
}

inputs!(A);
inputs!(A, B);
inputs!(A, B, C);
inputs!(A, B, C, D);
inputs!(A, B, C, D, E);
inputs!(A, B, C, D, E, F);
inputs!(A, B, C, D, E, F, G);

impl Input for State<Arc<Api>> {
    fn tell(_: &mut Needs) {}
}

/// Which headers it reads, it says itself.
impl Input for HeaderMap {
    fn tell(_: &mut Needs) {}
}

impl Input for Uri {
    fn tell(needs: &mut Needs) {
        needs.query = true;
    }
}

impl Input for Payload {
    fn tell(needs: &mut Needs) {
        needs.body = true;
    }
}

impl<R: Roles> Input for By<R> {
    fn tell(needs: &mut Needs) {
        needs.roles = Some(R::NAMES);
    }
}

impl<T: Named> Input for Id<T> {
    fn tell(needs: &mut Needs) {
        needs.path.push((T::WHAT, uuid::Uuid::json_schema));
    }
}

impl Input for Lane {
    fn tell(needs: &mut Needs) {
        needs
            .path
            .push(("processor", crate::domain::ids::ProcessorId::json_schema));
    }
}

impl<T: Input, E> Input for Result<T, E> {
    fn tell(needs: &mut Needs) {
        T::tell(needs);
    }
}

macro_rules! paths {
    ($($part:ident),+) => {
        impl<$($part: JsonSchema),+> Input for Path<($($part,)+)> {
            fn tell(needs: &mut Needs) {
                $(needs.path.push(("", $part::json_schema));)+
            }
        }
    };
}

paths!(A, B);
paths!(A, B, C, D);
