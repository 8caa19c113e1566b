//! How earlier versions compared identifiers: what they have written is found for as long as it is kept.
//!
//! Recipe 1 trimmed an e-mail address and put it in lower case. Of a phone number that it could not read it kept the ASCII
//! digits, which is nothing where there are none, and it left extensions out: such a form belongs to strangers as well.

use super::{FormerForm, SubjectData, email, normal};

/// The forms of recipe 1 that may have been written for this value, where they differ from the form of today.
pub(super) fn forms(kind: &str, value: &str, normalised: &str) -> Vec<FormerForm> {
    let texts = match kind {
        "email" => of_email(value, normalised),
        // Digits that are compared as they are were always compared so, and reading a number again takes its time.
        "phone" if value != normalised || !is_bare(value) => vec![phone(value)],
        _ => Vec::new(),
    };
    let mut forms: Vec<FormerForm> = Vec::new();
    for text in texts {
        if text != normalised && !forms.iter().any(|known| known.text.expose() == text) {
            forms.push(FormerForm {
                is_spelling: normal::form(kind, &text) == normalised,
                text: SubjectData::new(text),
            });
        }
    }
    forms
}

fn of_email(value: &str, normalised: &str) -> Vec<String> {
    let mut forms = Vec::new();
    // Nearly every address is compared as it always was.
    if !value.trim().eq_ignore_ascii_case(normalised) {
        forms.push(value.trim().to_lowercase());
    }
    // Under recipe 1 the same domain in Unicode was another one.
    if let Some((name, domain)) = email::halves(normalised)
        && email::has_punycode(domain)
    {
        let (domain, _) = idna::domain_to_unicode(domain);
        forms.push(format!("{name}@{domain}"));
    }
    forms
}

/// Whether a number is written without anything between its digits.
fn is_bare(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn phone(value: &str) -> String {
    let value = value.trim();
    let international = value
        .strip_prefix("00")
        .map_or_else(|| value.to_owned(), |rest| format!("+{rest}"));
    match phonenumber::parse(None, &international) {
        Ok(number) => number.format().mode(phonenumber::Mode::E164).to_string(),
        Err(_) => value
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == '+')
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn former(kind: &str, value: &str) -> Vec<(String, bool)> {
        let normalised = normal::form(kind, value);
        forms(kind, value, &normalised)
            .into_iter()
            .map(|form| (form.text.expose().to_owned(), form.is_spelling))
            .collect()
    }

    fn owned(forms: &[(&str, bool)]) -> Vec<(String, bool)> {
        forms.iter().map(|(text, is)| ((*text).to_owned(), *is)).collect()
    }

    #[test]
    fn what_is_compared_as_ever_has_no_other_form() {
        for (kind, value) in [
            ("email", " Ann@Example.ORG "),
            ("email", "jörg@example.org"),
            ("phone", "+49 30 901820"),
            ("phone", "+4930901820"),
            ("phone", "0049 (30) 901-820"),
            ("phone", "030/901820"),
            ("customer_id", "x"),
        ] {
            assert_eq!(former(kind, value), [], "{value}");
        }
    }

    #[test]
    fn other_spellings_are_told_from_forms_that_strangers_share() {
        type Forms = &'static [(&'static str, bool)];
        let cases: &[(&str, &str, Forms)] = &[
            ("email", "Ann@bücher.example", &[("ann@bücher.example", true)]),
            (
                "email",
                "ann@xn--bcher-kva.example",
                &[("ann@bücher.example", true)],
            ),
            ("email", "ann@example.org.", &[("ann@example.org.", true)]),
            (
                "email",
                "\u{feff}ann@example.org",
                &[("\u{feff}ann@example.org", true)],
            ),
            ("phone", "+٩٦٦٥٠١٢٣٤٥٦٧", &[("+", false)]),
            ("phone", "０９０-１２３４-５６７８", &[("", false)]),
            ("phone", "unknown", &[("", false)]),
            ("phone", "+49 30 901830 ext. 12", &[("+4930901830", false)]),
        ];
        for (kind, value, expected) in cases {
            assert_eq!(former(kind, value), owned(expected), "{value}");
        }
    }
}
