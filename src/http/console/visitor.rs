//! Who looks at a page.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{Method, Uri, request::Parts},
};
use maud::Markup;

use super::{
    super::{
        Api,
        auth::{Caller, Roles},
    },
    browser::{Browser, Who},
    fault::Fault,
    posted::form_token,
    way_in::{local, oidc_address, sign_in_address},
};
use crate::domain::time::At;

/// Somebody with one of the roles that `R` names.
pub(super) struct Visitor<R> {
    /// Who it is.
    pub(super) caller: Caller,
    /// Since when the brake is on, which every page says.
    pub(super) braked_since: Option<At>,
    browser: Browser,
    roles: PhantomData<R>,
}

impl<R> Visitor<R> {
    /// Somebody who is known, whatever they may do; whether the brake is on is not looked up.
    pub(super) const fn known(caller: Caller, browser: Browser) -> Self {
        Self {
            caller,
            braked_since: None,
            browser,
            roles: PhantomData,
        }
    }

    /// What every form of the console has to hold: see [`super::posted::Posted`].
    pub(super) fn csrf_field(&self) -> Markup {
        form_token(&self.browser)
    }

    /// Whether it has one of the roles that `Other` names: what it may not do is not shown to it.
    pub(super) fn may<Other: Roles>(&self) -> bool {
        self.caller.has::<Other>()
    }

    /// Whether it may have identifiers shown. They are masked until it asks for them, and each look is a ledger entry.
    pub(super) fn sees_identifiers(&self) -> bool {
        self.caller.sees_identifiers()
    }

    /// Whether it can sign out.
    pub(super) const fn can_sign_out(&self) -> bool {
        matches!(self.browser.who, Who::Known { signed_in: true, .. })
    }
}

impl<R: Roles> FromRequestParts<Arc<Api>> for Visitor<R> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Fault> {
        let browser = Browser::from_request_parts(parts, api).await?;
        match &browser.who {
            Who::Known { caller, .. } => {
                api.gatekeeper.check::<R>(caller)?;
                let facts = api.engine.refresh_facts().await?;
                Ok(Self {
                    caller: caller.clone(),
                    braked_since: facts.stops().brake().map(|stopped| stopped.since),
                    browser,
                    roles: PhantomData,
                })
            }
            // Whoever is still signed in there is led back at once.
            Who::Unknown { again: true, .. }
                if parts.method.is_safe() && api.gatekeeper.provider().is_some() =>
            {
                let page = wanted(&parts.method, &parts.uri);
                Err(Fault::elsewhere(oidc_address(local(page))))
            }
            Who::Unknown { ended, .. } => Err(Fault::elsewhere(sign_in_address(
                wanted(&parts.method, &parts.uri),
                *ended,
            ))),
        }
    }
}

/// What somebody is led to after the sign-in. A form is not sent a second time by itself: it was not carried out, and whoever
/// filled it in shall see it again.
fn wanted<'a>(method: &Method, uri: &'a Uri) -> &'a str {
    let page = uri.path_and_query().map_or("/", |page| page.as_str());
    if method.is_safe() { page } else { "/" }
}
