//! The dialects, a value each.
//!
//! Sources: the specification (github.com/opengdpr/OpenDSR) and each vendor's own reference, read in late 2026.

use super::{Dialect, IdentityFormat, RequestState, Setting, SettingPlace, Shape, StatusCall};

/// The identity types of the specification; where ours has another name, that stands first. The last three are other
/// names that ours may have.
const STANDARD: &[(&str, &str)] = &[
    ("customer_id", "controller_customer_id"),
    ("android_advertising_id", "android_advertising_id"),
    ("android_id", "android_id"),
    ("email", "email"),
    ("fire_advertising_id", "fire_advertising_id"),
    ("ios_advertising_id", "ios_advertising_id"),
    ("ios_vendor_id", "ios_vendor_id"),
    ("microsoft_advertising_id", "microsoft_advertising_id"),
    ("microsoft_publisher_id", "microsoft_publisher_id"),
    ("roku_publisher_id", "roku_publisher_id"),
    ("roku_advertising_id", "roku_advertising_id"),
    ("gaid", "android_advertising_id"),
    ("idfa", "ios_advertising_id"),
    ("idfv", "ios_vendor_id"),
];

const STANDARD_STATES: &[(&str, RequestState)] = &[
    ("pending", RequestState::Pending),
    ("in_progress", RequestState::InProgress),
    ("completed", RequestState::Completed),
    ("cancelled", RequestState::Cancelled),
];

const ALL_FORMATS: &[IdentityFormat] = IdentityFormat::ALL;
const RAW: &[IdentityFormat] = &[IdentityFormat::Raw];

/// Version 2.0 of the specification.
pub(super) const V2: Dialect = Dialect {
    name: "OpenDSR 2.0",
    requests: "requests",
    discovery: Some("discovery"),
    status: StatusCall::ByOurId,
    api_version: Some("2.0"),
    names_regulation: true,
    shape: Shape::List,
    identities: STANDARD,
    formats: ALL_FORMATS,
    settings: &[],
    taken: &[201],
    states: STANDARD_STATES,
    max_callbacks: usize::MAX,
    known_already: &[],
    busy: &[],
    busy_on_conflict: false,
    certificate_hosts: &[],
    term: "",
};

/// Version 1, still under the name OpenGDPR.
pub(super) const V1: Dialect = Dialect {
    name: "OpenGDPR 1.0",
    requests: "opengdpr_requests",
    api_version: Some("1.0"),
    names_regulation: false,
    ..V2
};

/// docs.mparticle.com, "Data Subject Request API", version 3.
pub(super) const MPARTICLE: Dialect = Dialect {
    name: "mParticle v3",
    api_version: Some("3.0"),
    shape: Shape::Dictionary,
    formats: RAW,
    taken: &[201, 202],
    busy_on_conflict: true,
    certificate_hosts: &["static.mparticle.com"],
    term: "waits 7 days, then takes 7 to 21 days in all",
    ..V2
};

/// dev.appsflyer.com, "OpenDSR API".
pub(super) const APPSFLYER: Dialect = Dialect {
    name: "AppsFlyer",
    requests: "opendsr_requests",
    api_version: Some("0.1"),
    names_regulation: false,
    identities: &[
        ("appsflyer_id", "appsflyer_id"),
        ("customer_id", "customer_user_id"),
        ("customer_user_id", "customer_user_id"),
        ("android_advertising_id", "android_advertising_id"),
        ("gaid", "android_advertising_id"),
        ("ios_advertising_id", "ios_advertising_id"),
        ("idfa", "ios_advertising_id"),
        ("ios_vendor_id", "idfv"),
        ("idfv", "idfv"),
        ("fire_advertising_id", "fire_advertising_id"),
        ("microsoft_advertising_id", "microsoft_advertising_id"),
    ],
    formats: RAW,
    settings: &[
        Setting {
            key: "property_id",
            place: SettingPlace::Body,
            needed: true,
        },
        Setting {
            key: "platform",
            place: SettingPlace::Body,
            needed: false,
        },
    ],
    states: &[
        ("pending", RequestState::Pending),
        ("in_progress", RequestState::InProgress),
        ("in-progress", RequestState::InProgress),
        ("completed", RequestState::Completed),
        ("cancelled", RequestState::Cancelled),
        ("canceled", RequestState::Cancelled),
    ],
    max_callbacks: 3,
    known_already: &["e213"],
    busy: &["e215"],
    term: "350 requests a minute; a status older than 60 days reads \"not found\"",
    ..V2
};

/// support.singular.net, "GDPR API": version 0.1.4 of the specification.
pub(super) const SINGULAR: Dialect = Dialect {
    name: "Singular",
    api_version: Some("0.1.4"),
    names_regulation: false,
    identities: &[
        ("user_id", "user_id"),
        ("customer_id", "user_id"),
        ("email", "email"),
        ("android_advertising_id", "android_advertising_id"),
        ("gaid", "android_advertising_id"),
        ("android_id", "android_id"),
        ("ios_advertising_id", "ios_advertising_id"),
        ("idfa", "ios_advertising_id"),
        ("ios_vendor_id", "ios_vendor_id"),
        ("idfv", "ios_vendor_id"),
    ],
    formats: RAW,
    settings: &[Setting {
        key: "property_id",
        place: SettingPlace::Body,
        needed: false,
    }],
    ..V2
};

/// help.branch.io, "Data Subject Request API": a look-alike. Its status is asked for by an id of its own.
pub(super) const BRANCH: Dialect = Dialect {
    name: "Branch",
    requests: "gdpr",
    discovery: None,
    status: StatusCall::None,
    api_version: None,
    names_regulation: false,
    identities: &[
        ("developer_id", "DEVELOPER_ID"),
        ("customer_id", "DEVELOPER_ID"),
        ("user_id", "USER_ID"),
        ("browser_id", "BROWSER_ID"),
        ("device_id", "DEVICE_ID"),
        ("android_advertising_id", "DEVICE_ID"),
        ("gaid", "DEVICE_ID"),
        ("ios_advertising_id", "DEVICE_ID"),
        ("idfa", "DEVICE_ID"),
        ("ios_vendor_id", "DEVICE_ID"),
        ("idfv", "DEVICE_ID"),
    ],
    formats: RAW,
    settings: &[Setting {
        key: "app_id",
        place: SettingPlace::Query,
        needed: true,
    }],
    taken: &[200],
    states: &[
        ("PENDING", RequestState::Pending),
        ("IN_PROGRESS", RequestState::InProgress),
        ("SUCCESS", RequestState::Completed),
    ],
    max_callbacks: 0,
    ..V2
};
