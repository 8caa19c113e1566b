//! E-mail addresses in a text.

use std::ops::Range;

use super::super::{email, text::lower_composed};

/// The ways to write the sign of an address, with that of URLs.
const SIGNS: [&str; 4] = ["@", "\u{ff20}", "\u{fe6b}", "%40"];

/// What may be an address: all that could belong to it on either side of a sign.
pub(super) struct Address<'t> {
    start: usize,
    name: &'t str,
    domain: &'t str,
    domain_at: usize,
}

/// Everything around a sign.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = Address<'_>> {
    let signs = SIGNS.into_iter().flat_map(|sign| text.match_indices(sign));
    signs.filter_map(|(at, sign)| {
        let domain_at = at + sign.len();
        let name_start = text[..at]
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_of_name(*c))
            .last()
            .map_or(at, |(start, _)| start);
        let domain_end = text[domain_at..]
            .char_indices()
            .find(|(_, c)| !is_of_domain(*c))
            .map_or(text.len(), |(end, _)| domain_at + end);
        let address = Address {
            start: name_start,
            name: &text[name_start..at],
            domain: &text[domain_at..domain_end],
            domain_at,
        };
        (!address.name.is_empty() && !address.domain.is_empty()).then_some(address)
    })
}

fn is_of_name(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '"' | '@')
}

fn is_of_domain(c: char) -> bool {
    // Marks that compose letters, and dots and letters in full width.
    c.is_alphanumeric()
        || matches!(c, '-' | '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff0d}')
        || !c.is_ascii() && !c.is_whitespace()
}

impl Address<'_> {
    pub(super) fn whole(&self) -> Range<usize> {
        // A dot that ends a sentence is none of the address.
        self.start..self.domain_at + self.domain.trim_end_matches(['.', '-']).len()
    }

    /// Where in it this address stands, in whatever spelling.
    pub(super) fn spelling_of(&self, name: &str, domain: &str) -> Option<Range<usize>> {
        let starts = self.name.char_indices().map(|(at, _)| at);
        let start = starts
            .filter(|at| *at == 0 || !self.name[..*at].ends_with(char::is_alphanumeric))
            .find(|at| lower_composed(&self.name[*at..]) == name)?;
        let ends = self.domain.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
        let end = ends
            .filter(|at| !self.domain[*at..].starts_with(char::is_alphanumeric))
            // A dot that ends a sentence is none of the address.
            .filter(|at| !self.domain[..*at].ends_with(['.', '\u{3002}', '\u{ff0e}']))
            .find(|at| is_domain(&self.domain[..*at], domain))?;
        Some(self.start + start..self.domain_at + end)
    }
}

fn is_domain(written: &str, domain: &str) -> bool {
    let form = email::form(&format!("a@{written}"));
    form.strip_prefix("a@") == Some(domain)
}
