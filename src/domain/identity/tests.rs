//! The rules of look-ups: what is one identifier, and that nothing else is.

use proptest::prelude::*;

use super::form;

#[test]
fn one_mailbox_is_one_in_all_its_spellings() {
    let groups: &[&[&str]] = &[
        &[
            "ann@bücher.example",
            "ann@xn--bcher-kva.example",
            "ann@bu\u{308}cher.example",
            "Ann@BÜCHER.example",
            "ann@XN--bcher-KVA.example.",
        ],
        &[
            "jörg@example.org",
            "jo\u{308}rg@example.org",
            "JÖRG@example.org",
            "JO\u{308}RG@example.org",
        ],
        &[
            "ann@example.org",
            "ann@\u{ff45}xample.org",
            "ann@ｅｘａｍｐｌｅ．ｏｒｇ",
            "ann@example。org",
            "ann@example.org.",
            "\u{200b}ann@example.org",
            "\u{feff}ann@example.org",
            "ann@example.org\u{200b}",
            " \u{a0}ann@example.org\t",
            "ANN@EXAMPLE.ORG",
            "ann＠example.org",
            "ann@exam\u{ad}ple.org",
        ],
    ];
    for group in groups {
        let forms: Vec<String> = group.iter().map(|value| form("email", value)).collect();
        assert!(forms.iter().all(|one| *one == forms[0]), "{forms:?}");
    }
    let all: std::collections::BTreeSet<String> =
        groups.iter().map(|group| form("email", group[0])).collect();
    assert_eq!(all.len(), groups.len());
}

#[test]
fn nothing_of_an_address_is_guessed() {
    let apart = [
        "ann@example.org",
        "ann+x@example.org",
        "a.nn@example.org",
        "ann@example.org..",
        "ann@example.com",
        "ａnn@example.org",
        "a\u{200b}nn@example.org",
        "ann@exa mple.org",
        "ann",
        "ann@",
        "@example.org",
        "ann@[192.0.2.1]",
        "ann@xn--a.example",
    ];
    let forms: std::collections::BTreeSet<String> = apart.iter().map(|value| form("email", value)).collect();
    assert_eq!(forms.len(), apart.len(), "{forms:?}");
    assert!(forms.iter().all(|form| !form.is_empty()));
}

#[test]
fn one_number_is_one_in_all_its_spellings() {
    let groups: &[&[&str]] = &[
        &[
            "+966501234567",
            "+٩٦٦٥٠١٢٣٤٥٦٧",
            "00966 50 123 4567",
            "tel:+966-50-123-4567",
            "\u{202a}+966 50 123 4567\u{202c}",
            "＋９６６５０１２３４５６７",
        ],
        &[
            "+49 30 901820",
            "0049 (30) 901-820",
            "+49 (0)30 901820",
            "(+49) 30/901820",
            "+49\u{2013}30\u{a0}901820",
        ],
        &[
            "+49 30 901830 ext. 12",
            "+49 30 901830 x12",
            "+4930901830;ext=12",
            "004930901830 EXT 12",
            "+49 30 901830 #12",
            "+49 30 901830 extension 12",
        ],
        &["+49 30 901830 ext. 99"],
        &["+49 30 901830"],
        &["+49 30 901830 ext. 012"],
        &["０９０-１２３４-５６７８", "090 1234 5678", "09012345678"],
        &["０８０-９９８８-７７６６"],
        &["٠٥٠١٢٣٤٥٦٧", "0501234567"],
        &["٠٥٥٩٨٧٦٥٤٣"],
        &["030 901820"],
        &["+39 06 1234567"],
        &["+39 6 1234567"],
        &["unknown"],
        &["not given"],
        &["-"],
        &["12 34"],
        &["1234"],
        &["112"],
        &["1-800-FLOWERS"],
        &["1-800-CONTACT"],
        &["+49 30 901820 or +49 30 901821"],
        &["+49 30 901820 Ann"],
        &["12345678901234567890"],
        &["1234 5678 9012 3456 7890"],
    ];
    let mut seen = std::collections::BTreeMap::new();
    for group in groups {
        let forms: Vec<String> = group.iter().map(|value| form("phone", value)).collect();
        assert!(
            forms.iter().all(|one| *one == forms[0] && !one.is_empty()),
            "{forms:?}"
        );
        let other = seen.insert(forms[0].clone(), group);
        assert_eq!(other, None, "{group:?}");
    }
    assert_eq!(form("phone", "+49 30 901830 ext. 12"), "+4930901830;ext=12");
}

#[test]
fn other_types_are_compared_byte_for_byte() {
    for value in [" A ", "\u{feff}x", "+49 30", "A@B.C"] {
        assert_eq!(form("customer_id", value), value);
    }
}

/// The named rules for phones, said once more and in another way: what is left of a number when everything is taken away
/// that the rules call no part of it.
fn phone_by_rules(value: &str) -> Option<(bool, String, Option<String>)> {
    let fold = |c: char| match c {
        '٠'..='٩' => char::from_digit(u32::from(c) - 0x660, 10),
        '０'..='９' => char::from_digit(u32::from(c) - 0xff10, 10),
        '＋' => Some('+'),
        c => Some(c),
    };
    let text: String = value.trim().chars().filter_map(fold).collect();
    let (number, extension) = match text.split_once("ext") {
        Some((number, extension)) => (
            number.to_owned(),
            Some(extension.trim_matches(['.', ' ']).to_owned()),
        ),
        None => (text, None),
    };
    let number = number.trim();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let is_other = |c: char| !(c.is_ascii_digit() || "+ -/.()".contains(c));
    let pluses = number.matches('+').count();
    let is_late = number.find('+') > number.find(|c: char| c.is_ascii_digit());
    if number.contains(is_other)
        || pluses > 1
        || (pluses == 1 && is_late)
        || extension
            .as_ref()
            .is_some_and(|e| e.is_empty() || e.len() > 12 || !e.bytes().all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let is_international = pluses == 1 || digits.starts_with("00");
    let digits = if pluses == 0 && is_international {
        digits[2..].to_owned()
    } else {
        digits
    };
    (7..=15)
        .contains(&digits.len())
        .then_some((is_international, digits, extension))
}

/// Whether one is the other with a trunk prefix somewhere behind the country code, which E.164 leaves out.
fn differs_by_trunk_prefix(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let left_out = long.len() - short.len();
    (1..=3).any(|code| {
        code < short.len()
            && long.is_char_boundary(code)
            && long[..code] == short[..code]
            && long[code + left_out..] == short[code..]
    })
}

fn phones() -> impl Strategy<Value = String> {
    let digits = prop_oneof!["[0-9]{1,17}", "[٠-٩]{1,12}", "[０-９]{1,12}", "0[0-9 /-]{6,14}"];
    let start = prop_oneof!["", "\\+", "00", "＋", "\\(", "tel"];
    let codes = prop_oneof!["", "49", "39", "1", "44", "7", "683"];
    let end = prop_oneof!["", " ext\\. ?[0-9]{1,3}", " ?[a-z]{1,4}", " "];
    let made = (start, codes, digits, end).prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"));
    prop_oneof![4 => made, 1 => "\\PC{0,12}", 1 => "[-+()0-9 ]{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn two_numbers_share_a_form_only_where_a_rule_says_so(a in phones(), b in phones()) {
        let (left, right) = (form("phone", &a), form("phone", &b));
        if left == right {
            match (phone_by_rules(&a), phone_by_rules(&b)) {
                (Some((ai, ad, ae)), Some((bi, bd, be))) => {
                    prop_assert_eq!((ai, ae), (bi, be), "{:?} {:?}", &a, &b);
                    prop_assert!(ad == bd || (ai && differs_by_trunk_prefix(&ad, &bd)), "{:?} {:?}", &a, &b);
                }
                (None, None) => prop_assert_eq!(super::super::text::trimmed(&a), super::super::text::trimmed(&b)),
                _ => prop_assert!(false, "{:?} {:?}", &a, &b),
            }
        }
    }

    /// A number and another one that differs in its last digit are two, whatever its shape.
    #[test]
    fn a_digit_more_or_another_one_is_another_number(start in phones(), n in 0..9_u32) {
        let (a, b) = (format!("{start}{n}"), format!("{start}{}", n + 1));
        prop_assert_ne!(form("phone", &a), form("phone", &b));
    }

    #[test]
    fn no_form_is_empty_unless_nothing_shows(kind in "email|phone", value in "\\PC{1,20}") {
        let is_blank = super::super::text::trimmed(&value).is_empty();
        prop_assert_eq!(form(&kind, &value).is_empty(), is_blank);
    }

    /// Two addresses share a form only where their names are equal but for case and composition, and their domains are
    /// equal by UTS 46, or as they were given.
    #[test]
    fn two_addresses_share_a_form_only_where_a_rule_says_so(
        names in prop::array::uniform2("[aAbö\u{308}.+ｂ]{1,3}"),
        domains in prop::array::uniform2("(xn--)?[aAüu\u{308}ａ_-]{1,4}(\\.|。)?(b|xn--tda|ü)?\\.?"),
    ) {
        let [left, right] = [0, 1].map(|n| form("email", &format!("{}@{}", names[n], domains[n])));
        if left == right {
            let name = |text: &str| super::super::text::lower_composed(text);
            prop_assert_eq!(name(super::super::text::trimmed(&names[0])), name(super::super::text::trimmed(&names[1])));
            let domain = |text: &str| idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::URL)
                .map_or_else(|_| name(text), std::borrow::Cow::into_owned);
            let (a, b) = (domain(&domains[0]), domain(&domains[1]));
            prop_assert!(a == b || a.strip_suffix('.') == Some(&*b) || b.strip_suffix('.') == Some(&*a), "{} {}", a, b);
        }
    }

    /// A form is found by itself: what is compared is a spelling of the same identifier.
    #[test]
    fn a_number_in_its_form_is_the_same_number(value in phones()) {
        let once = form("phone", &value);
        prop_assert_eq!(form("phone", &once), once);
    }
}
