//! The connectors that the program brings along.

macro_rules! shipped {
    ($($id:literal,)+) => {
        /// Each with its text, by id.
        pub(super) const SHIPPED: &[(&str, &str)] = &[$(($id, include_str!(concat!($id, ".toml"))),)+];
    };
}

shipped!(
    "adjust",
    "algolia",
    "amplitude",
    "braze",
    "customer-io",
    "fullstory",
    "google-analytics",
    "hubspot",
    "intercom",
    "iterable",
    "klaviyo",
    "mailchimp",
    "mixpanel",
    "posthog",
    "salesforce",
    "segment",
    "sendgrid",
    "stripe",
    "twilio",
    "zendesk",
);
