//! Free text that others have written, without the identifiers that stand in it.
//!
//! A processor's message and an operator's reason are free text, and somebody always writes an address into one. Where the
//! identifiers of the subject can be read, each of their spellings is masked and nothing else; where they cannot, whatever looks
//! like an e-mail address or a phone number is. In doubt more is masked than has to be: the text is for people, and proves nothing.

use std::ops::Range;

use super::{
    Identity, email, phone,
    text::{digit, is_invisible, lower_composed, narrow},
};

/// What stands in place of what looks like an address, or like a number.
const EMAIL: &str = "email";
const PHONE: &str = "phone";

/// From so many characters on, an identifier is found within a word too; a shorter one would take other words apart.
const LONG: usize = 6;

/// The fewest digits of what looks like a phone number, and of the end of one by which the whole is known.
const FEWEST_DIGITS: usize = 7;

/// The most groups of digits within which a number is looked for: no number is written in more.
const MOST_GROUPS: usize = 12;

/// The ways to write the sign of an address, with that of URLs.
const SIGNS: [&str; 4] = ["@", "\u{ff20}", "\u{fe6b}", "%40"];

/// What is masked.
#[derive(Debug)]
pub struct Mask(Kind);

#[derive(Debug)]
enum Kind {
    /// The spellings of these.
    Known(Vec<Known>),
    /// Whatever looks like one.
    Alike,
}

/// An identifier that is looked for.
struct Known {
    label: String,
    value: String,
    email: Option<(String, String)>,
    phone: Option<Number>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A phone number: its normal form, and the digits of it without an extension.
struct Number {
    form: String,
    digits: String,
}

impl Mask {
    /// Masks these identifiers.
    pub fn of(identities: &[Identity]) -> Self {
        Self(Kind::Known(identities.iter().map(Known::of).collect()))
    }

    /// Masks what looks like an identifier, because nobody can say any more which ones they were.
    pub const fn of_forgotten() -> Self {
        Self(Kind::Alike)
    }

    /// The text without them.
    pub fn text(&self, text: &str) -> String {
        let mut spans: Vec<(Range<usize>, &str)> = Vec::new();
        match &self.0 {
            Kind::Known(known) => {
                for one in known {
                    let found = one.in_text(text);
                    spans.extend(found.into_iter().map(|span| (span, one.label.as_str())));
                }
            }
            Kind::Alike => {
                spans.extend(addresses(text).map(|address| (address.whole(), EMAIL)));
                spans.extend(
                    numbers(text)
                        .into_iter()
                        .filter_map(|run| Some((run.alike()?, PHONE))),
                );
            }
        }
        replaced(text, spans)
    }
}

/// The text with these spans masked; of two that overlap, the earlier one says what it was.
fn replaced(text: &str, mut spans: Vec<(Range<usize>, &str)>) -> String {
    spans.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for (span, label) in spans {
        if span.start >= at {
            shown.push_str(&text[at..span.start]);
            shown.push('[');
            shown.push_str(label);
            shown.push(']');
        }
        at = at.max(span.end);
    }
    shown.push_str(&text[at..]);
    shown
}

impl Known {
    fn of(identity: &Identity) -> Self {
        let value = identity.value.expose().trim();
        let normal = identity.normalised();
        let kind = identity.kind.as_str();
        // Whatever its type is called, an address is written as addresses are.
        let email = match kind {
            EMAIL => {
                email::halves(normal.expose()).map(|(name, domain)| (name.to_owned(), domain.to_owned()))
            }
            _ => {
                email::halves(&email::form(value)).map(|(name, domain)| (name.to_owned(), domain.to_owned()))
            }
        };
        let phone = (kind == PHONE).then(|| {
            let form = normal.expose().to_owned();
            let number = form.split(';').next().unwrap_or_default();
            let digits = number.chars().filter(char::is_ascii_digit).collect();
            Number { form, digits }
        });
        Self {
            label: kind.to_owned(),
            value: value.to_owned(),
            email,
            phone,
        }
    }

    fn in_text(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = occurrences(text, &self.value);
        if let Some((name, domain)) = &self.email {
            found.extend(addresses(text).filter_map(|address| address.spelling_of(name, domain)));
        }
        if let Some(number) = &self.phone {
            found.extend(
                numbers(text)
                    .into_iter()
                    .filter_map(|run| run.spelling_of(number)),
            );
        }
        found
    }
}

/// Where a value stands as it is, in upper or lower case: a short one only as a word.
fn occurrences(text: &str, value: &str) -> Vec<Range<usize>> {
    let is_long = value.chars().count() >= LONG;
    let fold = |text: &str| -> Vec<(usize, char)> {
        let lower = |(at, c): (usize, char)| c.to_lowercase().map(move |c| (at, c));
        text.char_indices().flat_map(lower).collect()
    };
    let (text_folded, wanted) = (fold(text), fold(value));
    if wanted.is_empty() {
        return Vec::new();
    }
    let is_word = |c: Option<&(usize, char)>| c.is_some_and(|(_, c)| c.is_alphanumeric());
    let mut found = Vec::new();
    for start in 0..text_folded.len() {
        let Some(there) = text_folded.get(start..start + wanted.len()) else {
            break;
        };
        if !there.iter().map(|(_, c)| c).eq(wanted.iter().map(|(_, c)| c)) {
            continue;
        }
        let before = start.checked_sub(1).and_then(|n| text_folded.get(n));
        let after = text_folded.get(start + wanted.len());
        if is_long || !is_word(before) && !is_word(after) {
            found.push(there[0].0..after.map_or(text.len(), |(at, _)| *at));
        }
    }
    found
}

/// What may be an address: all that could belong to it on either side of a sign.
struct Address<'t> {
    start: usize,
    name: &'t str,
    domain: &'t str,
    domain_at: usize,
}

/// Everything around a sign.
fn addresses(text: &str) -> impl Iterator<Item = Address<'_>> {
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
    fn whole(&self) -> Range<usize> {
        // A dot that ends a sentence is none of the address.
        self.start..self.domain_at + self.domain.trim_end_matches(['.', '-']).len()
    }

    /// Where in it this address stands, in whatever spelling.
    fn spelling_of(&self, name: &str, domain: &str) -> Option<Range<usize>> {
        let starts = self.name.char_indices().map(|(at, _)| at);
        let start = starts
            .filter(|at| *at == 0 || !self.name[..*at].ends_with(char::is_alphanumeric))
            .find(|at| lower_composed(&self.name[*at..]) == name)?;
        let ends = self.domain.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
        let end = ends
            .filter(|at| !self.domain[*at..].starts_with(char::is_alphanumeric))
            .find(|at| is_domain(&self.domain[..*at], domain))?;
        Some(self.start + start..self.domain_at + end)
    }
}

fn is_domain(written: &str, domain: &str) -> bool {
    let form = email::form(&format!("a@{written}"));
    form.strip_prefix("a@") == Some(domain)
}

/// Digits with what may stand between those of a number.
struct Run<'t> {
    text: &'t str,
    start: usize,
    /// Each group: where it stands in `text`, and its digits in ASCII.
    groups: Vec<(Range<usize>, String)>,
}

/// Every run of digits that a number could be in.
fn numbers(text: &str) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), 'x')]) {
        if is_of_number(c) && at < text.len() {
            start.get_or_insert(at);
        } else if let Some(from) = start.take() {
            runs.push(Run::of(text, from, at));
        }
    }
    runs
}

fn is_of_number(c: char) -> bool {
    digit(narrow(c)).is_some()
        || c.is_whitespace()
        || is_invisible(c)
        || matches!(narrow(c), '+' | '-' | '.' | '(' | ')' | '/')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}')
}

impl<'t> Run<'t> {
    fn of(text: &'t str, start: usize, end: usize) -> Self {
        let text = &text[start..end];
        let mut groups: Vec<(Range<usize>, String)> = Vec::new();
        for (at, c) in text.char_indices() {
            let Some(digit) = digit(narrow(c)) else { continue };
            let end = at + c.len_utf8();
            match groups.last_mut() {
                Some((span, digits)) if span.end == at => {
                    span.end = end;
                    digits.push(digit);
                }
                _ => groups.push((at..end, digit.to_string())),
            }
        }
        Self { text, start, groups }
    }

    /// These groups, with a plus before them.
    fn span(&self, groups: Range<usize>) -> Range<usize> {
        let (first, last) = (&self.groups[groups.start].0, &self.groups[groups.end - 1].0);
        let before = self.text[..first.start].trim_end_matches(['+', '(', '\u{ff0b}']);
        self.start + before.len()..self.start + last.end
    }

    fn digits(&self, groups: Range<usize>) -> String {
        self.groups[groups]
            .iter()
            .map(|(_, digits)| digits.as_str())
            .collect()
    }

    /// Where in it this number stands, in whatever spelling: also without its country code, where enough is left of it.
    fn spelling_of(&self, number: &Number) -> Option<Range<usize>> {
        let known = number.digits.as_str();
        let is_it = |groups: &Range<usize>| {
            let digits = self.digits(groups.clone());
            let significant = digits.trim_start_matches('0');
            let is_end = significant.len() >= FEWEST_DIGITS && known.ends_with(significant);
            let span = self.span(groups.clone());
            let written = &self.text[span.start - self.start..span.end - self.start];
            is_end || !known.is_empty() && digits.contains(known) || phone::form(written) == number.form
        };
        if self.groups.len() > MOST_GROUPS {
            let all = 0..self.groups.len();
            return self.digits(all.clone()).contains(known).then(|| self.span(all));
        }
        let every = (0..self.groups.len()).flat_map(|start| {
            // The longest first.
            (start + 1..=self.groups.len()).rev().map(move |end| start..end)
        });
        every.into_iter().find(is_it).map(|groups| self.span(groups))
    }

    /// What of it looks like a phone number: no date.
    fn alike(&self) -> Option<Range<usize>> {
        let lengths: Vec<usize> = self.groups.iter().map(|(_, digits)| digits.len()).collect();
        let from = match lengths.as_slice() {
            [4, 2, 2, ..] if self.groups[0].1.starts_with(['1', '2']) => 3,
            _ => 0,
        };
        let groups = from..self.groups.len();
        let is_number = !groups.is_empty() && self.digits(groups.clone()).len() >= FEWEST_DIGITS;
        is_number.then(|| self.span(groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{identity::SubjectData, ids::IdentityType};

    fn identity(kind: &str, value: &str) -> Identity {
        Identity {
            kind: IdentityType::new(kind).unwrap(),
            value: SubjectData::new(value),
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_masked() {
        let mask = Mask::of(&[identity("email", "Ann@bücher.example")]);
        for spelling in [
            "ann@bücher.example",
            "ANN@BÜCHER.EXAMPLE",
            "ann@xn--bcher-kva.example",
            "Ann@b\u{75}\u{308}cher.example",
            "ann\u{ff20}bücher.example",
            "ann%40xn--bcher-kva.example",
            "ann@bücher。example",
        ] {
            for (before, after) in [
                ("", ""),
                ("<", ">"),
                ("user=", ";"),
                ("mailto:", ", gone"),
                ("(", ")"),
                ("'", "'"),
            ] {
                let text = format!("no row of {before}{spelling}{after} is left");
                let masked = mask.text(&text);
                assert_eq!(
                    masked,
                    format!("no row of {before}[email]{after} is left"),
                    "{text}"
                );
            }
            assert_eq!(mask.text(&format!("It was {spelling}.")), "It was [email].");
        }
    }

    #[test]
    fn addresses_of_others_stay() {
        let mask = Mask::of(&[identity("email", "ann@example.org")]);
        for text in [
            "ask legal@example.org",
            "joann@example.org",
            "ann@example.org.evil.test",
            "ann@example.organic",
            "a @ b",
            "@ann",
            "ann@",
        ] {
            let masked = mask.text(text);
            assert!(masked == text || text.ends_with("evil.test"), "{text}: {masked}");
        }
    }

    #[test]
    fn every_spelling_of_a_number_is_masked() {
        let mask = Mask::of(&[identity("phone", "+49 30 901820")]);
        for spelling in [
            "+4930901820",
            "+49 (0)30 901820",
            "0049 30/901820",
            "+49-30-90-18-20",
            "030 901820",
            "٠٠٤٩٣٠٩٠١٨٢٠",
            "＋４９３０９０１８２０",
        ] {
            let masked = mask.text(&format!("called {spelling}, twice"));
            assert_eq!(masked, "called [phone], twice", "{spelling}");
        }
        assert_eq!(
            mask.text("tel:+4930901820 on 2026-11-21"),
            "tel:[phone] on 2026-11-21"
        );
        for text in ["9018", "on 2026-11-21 12 rows", "+49 30 901821", "job 4711"] {
            assert_eq!(mask.text(text), text);
        }
    }

    #[test]
    fn other_identifiers_are_masked_where_they_stand() {
        let mask = Mask::of(&[identity("customer_id", "42"), identity("user_id", "U-4711-x")]);
        let cases = [
            (
                "customer_id=42, user U-4711-X",
                "customer_id=[customer_id], user [user_id]",
            ),
            ("142 rows, 421 keys", "142 rows, 421 keys"),
            ("pathU-4711-x/y", "path[user_id]/y"),
            ("42", "[customer_id]"),
        ];
        for (text, expected) in cases {
            assert_eq!(mask.text(text), expected);
        }
    }

    #[test]
    fn an_address_is_one_whatever_its_type() {
        let mask = Mask::of(&[identity("login", "ann@example.org")]);
        assert_eq!(mask.text("ANN%40example.org was there"), "[login] was there");
    }

    #[test]
    fn without_identifiers_what_looks_like_one_is_masked() {
        let mask = Mask::of_forgotten();
        let cases = [
            ("gone: ann@example.org.", "gone: [email]."),
            ("<a.b+c@x.org>; ü@ö.de", "<[email]>; [email]"),
            ("+49 30 901820", "[phone]"),
            ("call (030) 901-820 now", "call [phone] now"),
            ("2026-11-21", "2026-11-21"),
            ("12 rows in 3 tables", "12 rows in 3 tables"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(mask.text(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_masked(text in "\\PC{0,80}", value in "\\PC{0,20}") {
            for kind in ["email", "phone", "customer_id"] {
                Mask::of(&[identity(kind, &value)]).text(&text);
            }
            Mask::of_forgotten().text(&text);
        }

        #[test]
        fn a_value_is_never_left(value in "[a-z0-9]{6,12}@[a-z]{3,8}\\.org", before in "[ a-z(<=:]{0,6}", after in "[ ,;>)]{0,3}") {
            let masked = Mask::of(&[identity("email", &value)]).text(&format!("{before}{value}{after}"));
            proptest::prop_assert!(!masked.contains(&value));
        }
    }
}
