//! Phone numbers as look-ups compare them.

use std::ops::RangeInclusive;

use super::text::{digit, is_invisible, narrow, trimmed};

/// How many digits a number has: the fewest are those of the smallest countries with their code, the most those of E.164.
const DIGITS: RangeInclusive<usize> = 7..=15;

/// The longest extension: what telephone systems have is far below.
const MAX_EXTENSION: usize = 12;

/// How an extension begins, after the number; longer words before those that they begin with.
const EXTENSIONS: [&str; 7] = [";ext=", "extension", "extn", "ext", "xtn", "x", "#"];

/// The form that stands for all spellings of a number. What is no number stays as it was given.
pub(super) fn form(value: &str) -> String {
    let given = trimmed(value);
    read(given).unwrap_or_else(|| given.to_owned())
}

fn read(given: &str) -> Option<String> {
    let folded = folded(given)?;
    let number = folded.strip_prefix("tel:").unwrap_or(&folded);
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/');
    let (number, rest) = number.split_at(number.find(|c| !is_of_number(c)).unwrap_or(number.len()));
    let mut form = normal_number(number)?;
    if !rest.is_empty() {
        form.push_str(";ext=");
        form.push_str(extension(rest)?);
    }
    Some(form)
}

/// In ASCII and lower case, without what does not show; `None`: there is a character that no number has.
fn folded(given: &str) -> Option<String> {
    given
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| {
            let c = digit(c).unwrap_or_else(|| narrow(c)).to_ascii_lowercase();
            match c {
                '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' => Some('-'),
                c if c.is_whitespace() => Some(' '),
                c => c.is_ascii().then_some(c),
            }
        })
        .collect()
}

fn normal_number(text: &str) -> Option<String> {
    let (before, after) = match text.split_once('+') {
        Some((before, after)) => (Some(before), after),
        None => (None, text),
    };
    // A plus stands before all digits, and once.
    if after.contains('+') || before.is_some_and(|text| text.contains(|c: char| c.is_ascii_digit())) {
        return None;
    }
    let digits: String = after.chars().filter(char::is_ascii_digit).collect();
    let is_number = |digits: &str| DIGITS.contains(&digits.len());
    match digits.strip_prefix("00") {
        _ if before.is_some() => is_number(&digits).then(|| e164(&digits)),
        Some(rest) => is_number(rest).then(|| e164(rest)),
        None => is_number(&digits).then_some(digits),
    }
}

/// An international number in E.164; with all its digits where the library does not know it.
fn e164(digits: &str) -> String {
    let read = |number: &str| {
        let read = phonenumber::parse(None, number).ok()?;
        Some(read.format().mode(phonenumber::Mode::E164).to_string())
    };
    let number = format!("+{digits}");
    let settled = read(&number).filter(|form| {
        let is_number = form.strip_prefix('+').is_some_and(|digits| {
            DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        });
        // What is left out of a number must be no part of it: the rest has to be a number that is read as itself.
        is_number && (*form == number || read(form).as_ref() == Some(form))
    });
    settled.unwrap_or(number)
}

fn extension(rest: &str) -> Option<&str> {
    let rest = EXTENSIONS.iter().find_map(|word| rest.strip_prefix(word))?;
    let digits = rest.trim_matches([' ', '.', ':', '#']);
    let is_extension =
        !digits.is_empty() && digits.len() <= MAX_EXTENSION && digits.bytes().all(|b| b.is_ascii_digit());
    is_extension.then_some(digits)
}
