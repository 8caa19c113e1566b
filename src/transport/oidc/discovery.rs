//! What a provider says of itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;

use super::OidcError;

/// The parts of the discovery document that are needed here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Discovery {
    issuer: String,
    /// Where people sign in.
    pub(super) authorization_endpoint: String,
    /// Where a code becomes tokens.
    pub(super) token_endpoint: String,
    /// Where its keys are.
    pub(super) jwks_uri: String,
    /// Where more claims are.
    #[serde(default)]
    pub(super) userinfo_endpoint: Option<String>,
    /// How a client may say who it is.
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether whoever comes back says which provider it was (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    /// The document, if it is the one of this issuer. What leads elsewhere over plain HTTP is refused where the issuer does not.
    pub(super) fn checked(self, issuer: &str) -> Result<Self, OidcError> {
        if self.issuer != issuer {
            return Err(OidcError::Away(
                "its discovery document names another issuer: auth.oidc.issuer has to be written exactly as there".to_owned(),
            ));
        }
        let endpoints = [
            Some(&self.authorization_endpoint),
            Some(&self.token_endpoint),
            Some(&self.jwks_uri),
            self.userinfo_endpoint.as_ref(),
        ];
        let is_safe = |url: &&String| {
            url.starts_with("https://") || issuer.starts_with("http://") && url.starts_with("http://")
        };
        if endpoints.into_iter().flatten().all(|url| is_safe(&url)) {
            return Ok(self);
        }
        Err(OidcError::Away(
            "its discovery document names an address without https".to_owned(),
        ))
    }

    /// Whether a client's secret goes into the body, because the provider does not take the header.
    pub(super) fn wants_secret_in_body(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        let has = |name: &str| methods.is_some_and(|methods| methods.iter().any(|method| method == name));
        has("client_secret_post") && !has("client_secret_basic")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(with: &Value) -> Discovery {
        let mut document = json!({
            "issuer": "https://id.example.org", "authorization_endpoint": "https://id.example.org/auth",
            "token_endpoint": "https://id.example.org/token", "jwks_uri": "https://keys.example.org/jwks",
        });
        for (name, value) in with.as_object().unwrap() {
            document[name] = value.clone();
        }
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn only_the_document_of_the_issuer_counts() {
        let checked = |issuer| document(&json!({})).checked(issuer);
        assert!(checked("https://id.example.org").is_ok());
        for other in [
            "https://id.example.org/",
            "https://other.example.org",
            "http://id.example.org",
        ] {
            assert!(checked(other).is_err(), "{other}");
        }
    }

    #[test]
    fn no_part_of_it_leads_to_plain_http() {
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
        ] {
            let document = document(&json!({ name: "http://id.example.org/x" }));
            assert!(document.checked("https://id.example.org").is_err(), "{name}");
        }
    }

    #[test]
    fn the_secret_goes_where_the_provider_takes_it() {
        let wants = |methods: Value| {
            document(&json!({ "token_endpoint_auth_methods_supported": methods })).wants_secret_in_body()
        };
        assert!(wants(json!(["client_secret_post"])));
        assert!(!wants(json!(["client_secret_post", "client_secret_basic"])));
        assert!(!document(&json!({})).wants_secret_in_body());
    }
}
