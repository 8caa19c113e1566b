//! What went wrong, within the frame of somebody who is signed in: the search field and the places stay in reach.

use axum::{body::Body, extract::Request, http::header, middleware::Next, response::Response};

use super::{
    super::auth::Anyone,
    browser::{Browser, Who},
    fault::Said,
    page::page,
    visitor::Visitor,
};

/// Puts the frame around a page that says what went wrong.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let browser = request.extensions().get::<Browser>().cloned();
    let response = next.run(request).await;
    let (Some(said), Some(browser)) = (response.extensions().get::<Said>().cloned(), browser) else {
        return response;
    };
    let Who::Known { caller, .. } = &browser.who else {
        return response;
    };
    let visitor = Visitor::<Anyone>::known(caller.clone(), browser.clone());
    let dressed = page(&visitor, "", &said.title, &said.body);
    let (mut parts, _) = response.into_parts();
    // It is of another length now.
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(dressed.into_string()))
}
