//! The specification's own examples, and what deviates from it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::{
    calendar::Regime,
    identity::{Identity, SubjectData},
    ids::IdentityType,
    registry::{HttpAuth, HttpOptions, IdentityFormat, OpenDsr, OpenDsrDialect, RequestState},
    time::At,
};

const ID: &str = "a7551968-d5d6-44b2-9831-815ac9017798";

/// Section 7.2, with the regulation that section 7.1.1 requires and without the comma that JSON has no place for.
fn example() -> Value {
    json!({
        "regulation": "gdpr",
        "subject_request_id": ID,
        "subject_request_type": "erasure",
        "submitted_time": "2018-10-02T15:00:00Z",
        "subject_identities": [
            { "identity_type": "email", "identity_value": "johndoe@example.com", "identity_format": "raw" }
        ],
        "api_version": "2.0",
        "status_callback_urls": ["https://examplecontroller.com/opendsr/callbacks"],
        "extensions": {
            "example-processor.com": { "foo-processor-custom-id": 123456, "property_id": "123456" },
            "example-other-processor.com": { "foo-other-processor-custom-id": 654321 }
        }
    })
}

fn parse(request: &Value) -> Result<SubjectRequest, String> {
    parse_request(request.to_string().as_bytes(), false, |kind| {
        kind.as_str() == "user_id"
    })
    .map_err(|rejection| rejection.detail)
}

#[test]
fn example_of_a_request_becomes_an_erase_command() {
    let request = parse(&example()).unwrap();
    assert_eq!(request.id, ID.parse::<Uuid>().unwrap());
    assert_eq!(
        request.callbacks,
        ["https://examplecontroller.com/opendsr/callbacks"]
    );
    let command: Value = serde_json::from_slice(&request.command).unwrap();
    assert_eq!(
        command,
        json!({
            "type": "erase", "command_id": ID, "request_id": ID,
            "subject": { "identities": [{ "type": "email", "value": "johndoe@example.com" }] },
            "regime": "gdpr", "reason": "subject_request", "requested_at": "2018-10-02T15:00:00Z",
            "identity_verified": true,
            "metadata": { "opendsr_status_callback_urls": ["https://examplecontroller.com/opendsr/callbacks"] }
        })
    );
}

#[test]
fn identities_have_our_names_and_formats_in_them() {
    let mut request = example();
    let digest = "AB".repeat(32);
    request["subject_identities"] = json!([
        { "identity_type": "controller_customer_id", "identity_value": "42", "identity_format": "raw" },
        { "identity_type": "email", "identity_value": digest, "identity_format": "sha256" },
        { "identity_type": "ios_advertising_id", "identity_value": "0f".repeat(16), "identity_format": "md5" },
        { "identity_type": "user_id", "identity_value": "u-7", "identity_format": "raw" }
    ]);
    let command: Value = serde_json::from_slice(&parse(&request).unwrap().command).unwrap();
    assert_eq!(
        command["subject"]["identities"],
        json!([
            { "type": "customer_id", "value": "42" },
            { "type": "email_sha256", "value": digest.to_lowercase() },
            { "type": "ios_advertising_id_md5", "value": "0f".repeat(16) },
            { "type": "user_id", "value": "u-7" }
        ])
    );
}

#[test]
fn faulty_request_is_told_what_is_wrong_without_its_values() {
    let cases = [
        ("/regulation", json!("hipaa"), "regulation: expected gdpr or ccpa"),
        (
            "/regulation",
            Value::Null,
            "regulation: expected gdpr or ccpa, found none",
        ),
        (
            "/subject_request_id",
            json!(ID.to_uppercase()),
            "subject_request_id: expected a UUID of version 4 in lower case, in its hyphenated form",
        ),
        (
            "/subject_request_id",
            json!("018f6f2e-7c1a-7b3e-9a44-000000000040"),
            "subject_request_id: expected a UUID of version 4 in lower case, in its hyphenated form",
        ),
        (
            "/subject_request_id",
            json!(7),
            "subject_request_id: expected a text of 1 to 64 characters",
        ),
        (
            "/subject_request_type",
            json!("access"),
            "subject_request_type: only erasure is carried out here: see discovery",
        ),
        (
            "/subject_request_type",
            json!("rectification"),
            "subject_request_type: expected erasure",
        ),
        (
            "/submitted_time",
            json!("yesterday"),
            "submitted_time: expected a time of RFC 3339 from 1970 to 9999",
        ),
        ("/api_version", json!("3.0"), "api_version: expected 2.0 or 1.0"),
        (
            "/subject_identities",
            json!([]),
            "subject_identities: expected a list of 1 to 100 entries",
        ),
        (
            "/subject_identities",
            Value::Null,
            "subject_identities: expected at least one",
        ),
        (
            "/subject_identities/0/identity_type",
            json!("shoe_size"),
            "subject_identities[0].identity_type: expected one that discovery names",
        ),
        (
            "/subject_identities/0/identity_format",
            json!("rot13"),
            "subject_identities[0].identity_format: expected raw, sha1, md5 or sha256",
        ),
        (
            "/subject_identities/0/identity_format",
            json!("sha256"),
            "subject_identities[0].identity_value: expected the digest of its format, in hexadecimal digits",
        ),
        (
            "/status_callback_urls/0",
            json!("ftp://a/b"),
            "status_callback_urls[0]: expected http:// or https:// with a host, and without a password",
        ),
        (
            "/status_callback_urls/0",
            json!("https://u:p@a/b"),
            "status_callback_urls[0]: expected http:// or https:// with a host, and without a password",
        ),
        (
            "/status_callback_urls/0",
            json!("https://a/johndoe@example.com"),
            "status_callback_urls[0]: expected an address without an identifier of the data subject",
        ),
    ];
    for (pointer, value, expected) in cases {
        let mut request = example();
        *request.pointer_mut(pointer).unwrap() = value;
        assert_eq!(parse(&request).unwrap_err(), expected, "{pointer}");
    }
    let twice = example()
        .to_string()
        .replacen("{", r#"{"subject_request_id":"x","#, 1);
    assert!(
        parse_request(twice.as_bytes(), false, |_| false).is_err(),
        "a key twice"
    );
}

#[test]
fn version_1_had_no_regulation() {
    let mut request = example();
    request.as_object_mut().unwrap().remove("regulation");
    let request = request.to_string();
    let parsed = parse_request(request.as_bytes(), true, |_| false).unwrap();
    let command: Value = serde_json::from_slice(&parsed.command).unwrap();
    assert_eq!(command["regime"], "gdpr");
}

fn processor(dialect: OpenDsrDialect) -> OpenDsr {
    OpenDsr {
        url: "https://dsr.vendor.example/v2/".into(),
        dialect,
        auth: HttpAuth::None,
        processor_domain: None,
        poll: std::time::Duration::from_secs(3600),
        formats: Vec::new(),
        settings: Vec::new(),
        timeout: std::time::Duration::from_secs(30),
        http: HttpOptions::default(),
    }
}

fn identity(kind: &str, value: &str) -> Identity {
    Identity {
        kind: IdentityType::new(kind).unwrap(),
        value: SubjectData::new(value),
    }
}

fn written(to: &OpenDsr, identities: &[Identity], callback: Option<&str>) -> Result<Value, CannotSay> {
    let request = Outgoing {
        id: ID.parse().unwrap(),
        regime: &Regime::parse("gdpr").unwrap(),
        submitted_time: At::parse("2018-10-02T15:00:00Z").unwrap(),
        identities,
        callback,
    };
    write_request(to, &request).map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn our_request_is_the_example_of_the_specification() {
    let ann = [identity("email", "johndoe@example.com")];
    let callback = "https://examplecontroller.com/opendsr/callbacks";
    let said = written(&processor(OpenDsrDialect::V2), &ann, Some(callback)).unwrap();
    let mut expected = example();
    expected.as_object_mut().unwrap().remove("extensions");
    assert_eq!(said, expected);
    assert!(parse(&said).is_ok(), "we read what we write");
}

#[test]
fn every_dialect_writes_as_its_vendor_reads() {
    let ann = [identity("customer_id", "42")];
    let mparticle = written(&processor(OpenDsrDialect::Mparticle), &ann, Some("https://a/b")).unwrap();
    assert_eq!(
        mparticle["subject_identities"],
        json!({ "controller_customer_id": { "value": "42", "encoding": "raw" } })
    );
    assert_eq!(
        (&mparticle["api_version"], &mparticle["regulation"]),
        (&json!("3.0"), &json!("gdpr"))
    );
    let mut appsflyer = processor(OpenDsrDialect::Appsflyer);
    appsflyer.settings = vec![("property_id".into(), "id123456789".into())];
    let said = written(&appsflyer, &ann, Some("https://a/b")).unwrap();
    assert_eq!(said["property_id"], "id123456789");
    assert_eq!(
        said["subject_identities"],
        json!([{ "identity_type": "customer_user_id", "identity_value": "42", "identity_format": "raw" }])
    );
    assert_eq!(
        requests_url(&appsflyer),
        "https://dsr.vendor.example/v2/opendsr_requests"
    );
    let singular = written(&processor(OpenDsrDialect::Singular), &ann, None).unwrap();
    assert_eq!(singular["subject_identities"][0]["identity_type"], "user_id");
    assert_eq!(singular["api_version"], "0.1.4");
    let mut branch = processor(OpenDsrDialect::Branch);
    branch.settings = vec![("app_id".into(), "12 3".into())];
    let said = written(&branch, &ann, Some("https://a/b")).unwrap();
    assert_eq!(
        said,
        json!({ "subject_request_type": "erasure", "subject_identities": [
            { "identity_type": "DEVELOPER_ID", "identity_value": "42", "identity_format": "raw" }] })
    );
    assert_eq!(
        requests_url(&branch),
        "https://dsr.vendor.example/v2/gdpr?app_id=12%203"
    );
    let v1 = processor(OpenDsrDialect::V1);
    assert_eq!(
        requests_url(&v1),
        "https://dsr.vendor.example/v2/opengdpr_requests"
    );
    assert_eq!(
        discovery_url(&v1).as_deref(),
        Some("https://dsr.vendor.example/v2/discovery")
    );
    assert_eq!(discovery_url(&branch), None);
}

#[test]
fn digests_are_of_the_normalised_value() {
    let mut to = processor(OpenDsrDialect::V2);
    to.formats = vec![(IdentityType::new("email").unwrap(), IdentityFormat::Sha256)];
    let said = written(&to, &[identity("email", " Ann@Example.org ")], None).unwrap();
    // printf ann@example.org | sha256sum
    assert_eq!(
        said["subject_identities"],
        json!([{ "identity_type": "email", "identity_format": "sha256",
            "identity_value": "438c4c7afe600cdf1e455c369bec76dc970fc8ca463447c7b387a347f3c79331" }])
    );
}

#[test]
fn what_cannot_be_said_is_not_sent() {
    let phone = [identity("phone", "+4915112345678")];
    assert_eq!(
        written(&processor(OpenDsrDialect::V2), &phone, None),
        Err(CannotSay::Nobody)
    );
    let two = [
        identity("email", "a@example.org"),
        identity("email", "b@example.org"),
    ];
    assert_eq!(
        written(&processor(OpenDsrDialect::Mparticle), &two, None),
        Err(CannotSay::Several("email"))
    );
    assert!(written(&processor(OpenDsrDialect::V2), &two, None).is_ok());
}

fn now() -> At {
    At::parse("2018-10-02T15:00:05Z").unwrap()
}

/// Section 7.4.
#[test]
fn example_of_an_answer_says_when_it_will_be_done() {
    let answer = json!({
        "controller_id": "example_controller_id", "expected_completion_time": "2018-11-01T15:00:01Z",
        "received_time": "2018-10-02T15:00:01Z", "encoded_request": "<BASE64 ENCODED REQUEST>",
        "subject_request_id": ID
    });
    let read = |answer: &Value| {
        let data = OpenDsrDialect::V2.data();
        read_created(data, answer.to_string().as_bytes(), ID.parse().unwrap(), now())
    };
    let heard = read(&answer).unwrap();
    assert_eq!(heard.state, RequestState::Pending);
    assert_eq!(heard.expected_by.unwrap().to_string(), "2018-11-01T15:00:01Z");
    let wrong = [
        (
            "/subject_request_id",
            json!(Uuid::nil()),
            WrongAnswer::OtherRequest,
        ),
        (
            "/subject_request_id",
            Value::Null,
            WrongAnswer::Missing("subject_request_id"),
        ),
        (
            "/expected_completion_time",
            Value::Null,
            WrongAnswer::Missing("expected_completion_time"),
        ),
        (
            "/expected_completion_time",
            json!("soon"),
            WrongAnswer::Missing("expected_completion_time"),
        ),
    ];
    for (pointer, value, expected) in wrong {
        let mut answer = answer.clone();
        *answer.pointer_mut(pointer).unwrap() = value;
        assert_eq!(read(&answer), Err(expected), "{pointer}");
    }
    for absurd in ["2018-10-01T00:00:00Z", "9999-01-01T00:00:00Z"] {
        let mut answer = answer.clone();
        answer["expected_completion_time"] = json!(absurd);
        assert_eq!(read(&answer).unwrap().expected_by, None, "{absurd}");
    }
    for no_json in ["<html>Created</html>", "", "[]", "\"created\""] {
        let read = read_created(
            OpenDsrDialect::V2.data(),
            no_json.as_bytes(),
            ID.parse().unwrap(),
            now(),
        );
        assert_eq!(read, Err(WrongAnswer::NotJson), "{no_json}");
    }
}

/// Sections 8.4 and 8.7.
#[test]
fn example_of_a_status_and_of_a_callback_are_read() {
    let mut status = json!({
        "controller_id": "example_controller_id", "expected_completion_time": "2018-11-01T15:00:01Z",
        "subject_request_id": ID, "request_status": "pending", "api_version": "2.0",
        "results_url": "https://exampleprocessor.com/secure/d188d4ba-12db-48a0-898c-cd0f8ba7b345", "results_count": 103
    });
    let data = OpenDsrDialect::V2.data();
    let id: Uuid = ID.parse().unwrap();
    let read = |status: &Value| read_status(data, status.to_string().as_bytes(), id, now());
    assert_eq!(read(&status).unwrap().state, RequestState::Pending);
    status["request_status"] = json!("completed");
    assert_eq!(read(&status).unwrap().state, RequestState::Completed);
    status["request_status"] = json!("SUCCESS");
    assert_eq!(read(&status), Err(WrongAnswer::UnknownState));
    status["request_status"] = json!("completed");
    let url = "https://examplecontroller.com/opendsr/callbacks";
    let called = |status: &Value| read_callback(data, status.to_string().as_bytes(), (id, url), now());
    assert_eq!(
        called(&status),
        Err(WrongAnswer::OtherAddress),
        "it does not say where it was sent"
    );
    status["status_callback_url"] = json!("https://examplecontroller.com/others");
    assert_eq!(called(&status), Err(WrongAnswer::OtherAddress));
    status["status_callback_url"] = json!(url);
    assert_eq!(called(&status).unwrap().state, RequestState::Completed);
    status["subject_request_id"] = json!(Uuid::nil());
    assert_eq!(called(&status), Err(WrongAnswer::OtherRequest));
}

#[test]
fn our_answers_are_read_by_ourselves() {
    let id: Uuid = ID.parse().unwrap();
    let status = StatusAnswer {
        controller_id: "shop".into(),
        expected_completion_time: now().plus(std::time::Duration::from_secs(60)),
        subject_request_id: id,
        request_status: RequestState::InProgress,
        api_version: API_VERSION,
        detail: Some("deferred"),
    };
    let data = OpenDsrDialect::V2.data();
    let heard = read_status(data, &serde_json::to_vec(&status).unwrap(), id, now()).unwrap();
    assert_eq!(heard.state, RequestState::InProgress);
    let callback = Callback {
        status,
        status_callback_url: "https://a/b".into(),
    };
    let bytes = serde_json::to_vec(&callback).unwrap();
    assert_eq!(read_callback(data, &bytes, (id, "https://a/b"), now()), Ok(heard));
}

#[test]
fn errors_of_a_dialect_say_that_a_request_is_known_or_busy() {
    let data = OpenDsrDialect::Appsflyer.data();
    let known = json!({ "error": { "code": 400, "message": "exists", "af_gdpr_code": "e213" } }).to_string();
    assert!(says_known(data, known.as_bytes()) && !says_busy(data, known.as_bytes()));
    let busy = json!({ "code": 400, "af_gdpr_code": "e215" }).to_string();
    assert!(says_busy(data, busy.as_bytes()) && !says_known(data, busy.as_bytes()));
    assert!(!says_known(OpenDsrDialect::V2.data(), known.as_bytes()));
    assert!(!says_known(data, b"<html>e213</html>"));
}

#[test]
fn certificate_is_where_discovery_says() {
    let discovery = json!({
        "api_version": "2.0",
        "supported_identities": [{ "identity_type": "email", "identity_format": "raw" }],
        "supported_subject_request_types": ["erasure"],
        "processor_certificate": "https://exampleprocessor.com/cert.pem"
    });
    assert_eq!(
        certificate_url(discovery.to_string().as_bytes()).unwrap(),
        "https://exampleprocessor.com/cert.pem"
    );
    assert_eq!(
        certificate_url(b"{}"),
        Err(WrongAnswer::Missing("processor_certificate"))
    );
    assert_eq!(certificate_url(b"<html>"), Err(WrongAnswer::NotJson));
}
