//! Callbacks: who is believed, and what is then heard.

use serde_json::json;

use super::{
    super::{NotBelieved, Signer, certificate::Untrusted},
    sending::{DOMAIN, Site},
    vendor::expected_by,
};
use crate::{
    domain::ack::Answer as Answered,
    engine::accepted::AskedAbout,
    wire::opendsr::{WrongAnswer, subject_request_id},
};

#[tokio::test]
async fn a_callback_is_believed_by_its_signature_alone() {
    let site = Site::new().await;
    let about = AskedAbout::for_tests("dsr");
    let id = site.processor.id.clone();
    let url = site
        .controller
        .callback_url(&id, (about.request, about.task, about.generation));
    let body = json!({
        "controller_id": "lacuna", "expected_completion_time": expected_by().to_string(), "status_callback_url": url,
        "subject_request_id": subject_request_id(about.task, 1), "request_status": "completed"
    });
    let bytes = body.to_string().into_bytes();
    let headers = site.vendor.headers(&bytes);
    let believe = async |headers: &hyper::HeaderMap, bytes: &[u8]| {
        site.controller
            .believe_callback(&id, site.opendsr(), headers, bytes)
            .await
    };
    // Somebody else's domain is refused before anything is read.
    let mut other = headers.clone();
    other.insert(
        "x-opendsr-processor-domain",
        "opendsr.other.test".parse().unwrap(),
    );
    assert_eq!(believe(&other, &bytes).await, Err(NotBelieved::OtherDomain));
    assert_eq!(site.vendor.script(|script| script.certificates_read), 0);
    assert_eq!(believe(&headers, &bytes).await, Ok(()));
    let ack = site
        .controller
        .hear_callback(site.opendsr(), &about, &bytes)
        .unwrap()
        .unwrap();
    assert_eq!(ack.answer, Answered::Erased);
    let mut doubled = headers.clone();
    doubled.append("x-opendsr-signature", "AAAA".parse().unwrap());
    assert_eq!(believe(&doubled, &bytes).await, Err(NotBelieved::Unsigned));
    assert_eq!(
        believe(&headers, b"{}").await,
        Err(NotBelieved::Untrusted(Untrusted::Signature))
    );
    let theirs = site.authority.issue(DOMAIN);
    let thief = Signer::load(DOMAIN, &theirs.certificate, &theirs.key).unwrap();
    let mut forged = headers.clone();
    forged.insert(
        "x-opendsr-signature",
        thief.sign(&bytes).unwrap().parse().unwrap(),
    );
    assert_eq!(
        believe(&forged, &bytes).await,
        Err(NotBelieved::Untrusted(Untrusted::Signature))
    );
    assert_eq!(
        site.vendor.script(|script| script.certificates_read),
        1,
        "forgers cause no calls"
    );
    let mut old_names = hyper::HeaderMap::new();
    for (name, old) in [
        ("x-opendsr-processor-domain", "x-opengdpr-processor-domain"),
        ("x-opendsr-signature", "x-opengdpr-signature"),
    ] {
        old_names.insert(old, headers[name].clone());
    }
    assert_eq!(believe(&old_names, &bytes).await, Ok(()));
    for (key, value, expected) in [
        (
            "status_callback_url",
            json!("https://other.test/"),
            WrongAnswer::OtherAddress,
        ),
        (
            "subject_request_id",
            json!("a7551968-d5d6-44b2-9831-815ac9017798"),
            WrongAnswer::OtherRequest,
        ),
        ("request_status", json!("done"), WrongAnswer::UnknownState),
    ] {
        let mut body = body.clone();
        body[key] = value;
        let heard = site
            .controller
            .hear_callback(site.opendsr(), &about, body.to_string().as_bytes());
        assert_eq!(heard, Err(expected), "{key}");
    }
}
