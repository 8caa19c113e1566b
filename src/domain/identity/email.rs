//! E-mail addresses as look-ups compare them.

use std::borrow::Cow;

use idna::{AsciiDenyList, domain_to_ascii_cow};

use super::text::{lower_composed, trimmed};

/// What stands between the name and the domain: only where there is no `@` it is the wide or the small one.
const SIGNS: [char; 3] = ['@', '\u{ff20}', '\u{fe6b}'];

/// The form that stands for all spellings of an address.
pub(super) fn form(value: &str) -> String {
    let given = trimmed(value);
    let Some((name, domain)) = halves(given) else {
        return lower_composed(given);
    };
    let mut form = lower_composed(name);
    form.push('@');
    form.push_str(&domain_form(domain));
    form
}

/// The name and the domain.
pub(super) fn halves(address: &str) -> Option<(&str, &str)> {
    SIGNS.iter().find_map(|sign| address.rsplit_once(*sign))
}

/// Whether this is what stands between name and domain.
pub(super) const fn is_sign(c: char) -> bool {
    matches!(c, '@' | '\u{ff20}' | '\u{fe6b}')
}

/// By UTS 46. A domain that it does not know stays as it was given, in lower case.
fn domain_form(domain: &str) -> String {
    let mapped = if is_plain(domain) {
        domain.to_ascii_lowercase()
    } else {
        domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::URL)
            .map_or_else(|_| lower_composed(domain), Cow::into_owned)
    };
    match mapped.strip_suffix('.') {
        Some(rest) if !rest.is_empty() && !rest.ends_with('.') => rest.to_owned(),
        _ => mapped,
    }
}

/// Whether the domain has nothing but letters that are compared as they are. Nearly all have.
fn is_plain(domain: &str) -> bool {
    domain.is_ascii() && !has_punycode(domain)
}

/// Whether a label of the domain is written in punycode.
pub(super) fn has_punycode(domain: &str) -> bool {
    domain.split('.').any(|label| {
        label
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
    })
}
