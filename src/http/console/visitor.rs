//! Who looks at a page.

use std::{marker::PhantomData, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use maud::{Markup, html};

use super::{
    super::{
        Api,
        auth::{By, Caller, Roles},
    },
    fault::Fault,
};

/// Somebody with one of the roles that `R` names.
pub(super) struct Visitor<R> {
    /// Who it is.
    pub(super) caller: Caller,
    roles: PhantomData<R>,
}

impl<R: Roles> FromRequestParts<Arc<Api>> for Visitor<R> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Fault> {
        let By { caller, .. } = By::<R>::from_request_parts(parts, api).await?;
        Ok(Self {
            caller,
            roles: PhantomData,
        })
    }
}

impl<R> Visitor<R> {
    /// What every form has to include.
    pub(super) fn csrf_field(&self) -> Markup {
        html! {}
    }
}
