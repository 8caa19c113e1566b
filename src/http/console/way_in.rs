//! The addresses of the sign-in, and which pages it leads to afterwards.

/// Where one signs in.
pub(super) const SIGN_IN: &str = "/login";

/// Where one goes to the identity provider.
const OIDC: &str = "/login/oidc";

/// Where somebody signs in who wanted to see this page.
pub(super) fn sign_in_address(next: &str, ended: bool) -> String {
    let next = local(next);
    let mut query = Vec::new();
    if next != "/" {
        query.push(("next", next));
    }
    if ended {
        query.push(("ended", "true"));
    }
    match serde_html_form::to_string(&query) {
        Ok(query) if !query.is_empty() => format!("{SIGN_IN}?{query}"),
        _ => SIGN_IN.to_owned(),
    }
}

/// A page of this console, or its start page: a link to the sign-in must not lead to another site.
pub(super) fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//");
    // Browsers read a backslash as a slash, and leave tabs and line ends out.
    let is_plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let is_sign_in = [SIGN_IN, "/logout"].iter().any(|own| {
        next.strip_prefix(own)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    });
    if is_path && is_plain && !is_sign_in {
        next
    } else {
        "/"
    }
}

/// Where somebody goes to sign in who wants to see this page.
pub(super) fn oidc_address(next: &str) -> String {
    match serde_html_form::to_string([("next", next)]) {
        Ok(query) if next != "/" => format!("{OIDC}?{query}"),
        _ => OIDC.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_console_are_led_to() {
        for own in ["/", "/requests", "/requests/1?x=/a&y=%2F", "/loginx", "/a//b"] {
            assert_eq!(local(own), own);
        }
        for other in [
            "",
            "requests",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: a=b",
            "/ä",
            "/login",
            "/login?next=/",
            "/login/oidc",
            "/logout",
        ] {
            assert_eq!(local(other), "/", "{other}");
        }
    }

    #[test]
    fn the_page_that_was_asked_for_is_remembered() {
        assert_eq!(sign_in_address("/", false), "/login");
        assert_eq!(sign_in_address("/", true), "/login?ended=true");
        assert_eq!(
            sign_in_address("/requests?status=overdue&x=1", false),
            "/login?next=%2Frequests%3Fstatus%3Doverdue%26x%3D1"
        );
        assert_eq!(sign_in_address("//evil.example", false), "/login");
    }
}
