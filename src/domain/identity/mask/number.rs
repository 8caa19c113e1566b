//! Phone numbers in a text.

use std::ops::Range;

use super::super::{
    phone,
    text::{digit, is_invisible, narrow},
};

/// The fewest digits of what looks like a phone number, and of the end of one by which the whole is known.
const FEWEST_DIGITS: usize = 7;

/// The most groups of digits within which a number is looked for: no number is written in more.
const MOST_GROUPS: usize = 12;

/// A phone number: its normal form, and the digits of it without an extension.
pub(super) struct Number {
    form: String,
    digits: String,
}

impl Number {
    /// Of a number in its normal form.
    pub(super) fn of(form: &str) -> Self {
        let number = form.split(';').next().unwrap_or_default();
        Self {
            form: form.to_owned(),
            digits: number.chars().filter(char::is_ascii_digit).collect(),
        }
    }
}

/// Digits with what may stand between those of a number.
pub(super) struct Run<'t> {
    text: &'t str,
    start: usize,
    /// Each group: where it stands in `text`, and its digits in ASCII.
    groups: Vec<(Range<usize>, String)>,
}

/// Every run of digits that a number could be in.
pub(super) fn numbers(text: &str) -> Vec<Run<'_>> {
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
    pub(super) fn spellings_of(&self, number: &Number) -> Vec<Range<usize>> {
        if number.digits.is_empty() {
            // What was given as a number is none, and is looked for as it is.
            return Vec::new();
        }
        let count = self.groups.len();
        if count > MOST_GROUPS {
            let is_there = self.digits(0..count).contains(&number.digits);
            return is_there.then(|| self.span(0..count)).into_iter().collect();
        }
        let mut found = Vec::new();
        let mut start = 0;
        while start < count {
            // The longest first: what is left out of a number would be shown.
            let end = (start + 1..=count).rev().find(|end| self.is(start..*end, number));
            if let Some(end) = end {
                found.push(self.span(start..end));
            }
            start = end.unwrap_or(start + 1);
        }
        found
    }

    /// Whether these groups are this number.
    fn is(&self, groups: Range<usize>, number: &Number) -> bool {
        let digits = self.digits(groups.clone());
        let significant = digits.trim_start_matches('0');
        let is_end = significant.len() >= FEWEST_DIGITS && number.digits.ends_with(significant);
        let span = self.span(groups);
        let written = &self.text[span.start - self.start..span.end - self.start];
        is_end || digits.contains(&number.digits) || phone::form(written) == number.form
    }

    /// What of it looks like a phone number: no date.
    pub(super) fn alike(&self) -> Option<Range<usize>> {
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
