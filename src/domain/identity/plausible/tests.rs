//! Which values are somebody's, and which are nobody's.

use proptest::prelude::*;

use super::{words::NOTHING, *};

fn fault(kind: &str, value: &str) -> Option<Implausible> {
    Identity::taken(IdentityType::new(kind).unwrap(), value).err()
}

#[test]
fn words_for_nothing_are_no_identifiers_of_any_type() {
    let words = [
        "NaN",
        "nan",
        "#N/A",
        "<NA>",
        "(null)",
        "[NULL]",
        "NA",
        "-",
        "unknown",
        "null",
        "NULL",
        "none",
        "None",
        "n/a",
        "N/A",
        "undefined",
        "\\N",
        "Not Given",
        "[object Object]",
        "ＮＵＬＬ",
        "\u{feff}null",
        " null ",
        "''",
        "--",
        "...",
        "…",
        "\u{fffd}\u{fffd}",
        "none.",
        "«none»",
        "NULL NULL",
        "null,null",
        "nullnull",
        "$null",
        "N/A N/A",
        "N / A",
        "inf",
        "-Infinity",
        "null@null",
        "#SPILL!",
        "#NAME?",
        "Err:502",
        "-1.#IND",
    ];
    for word in words {
        for kind in ["customer_id", "email", "phone", "device_id"] {
            assert_eq!(fault(kind, word), Some(Implausible::Nothing), "{kind} {word}");
        }
    }
    for blank in [
        "",
        " ",
        "\u{200b}",
        "\u{feff}",
        "\u{a0}\u{ad}",
        "\u{2800}",
        " \u{2800} ",
    ] {
        assert_eq!(fault("customer_id", blank), Some(Implausible::Blank), "{blank:?}");
    }
}

#[test]
fn what_everybody_has_is_nobodys() {
    for value in [
        "00000000-0000-0000-0000-000000000000",
        "00000000000000000000000000000000",
        "{00000000-0000-0000-0000-000000000000}",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "0000:0000_0000.0000 0000/0000 0000 0000",
        "00:00:00:00:00:00",
        "000000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "0",
        "0000",
        "0.0",
        "٠",
    ] {
        assert_eq!(fault("device_id", value), Some(Implausible::Zeroed), "{value}");
    }
    assert_eq!(fault("phone", "000-000 0000"), Some(Implausible::Zeroed));
    for value in [
        "1.23457E+15",
        "1,23457e+15",
        "1E+15",
        "-1.5e-07",
        "９.１E+20",
        "1E+9",
        "12e+15",
        "12E5",
        "1E10",
        "5e3",
        "1.23456789E9",
    ] {
        assert_eq!(fault("customer_id", value), Some(Implausible::Rounded), "{value}");
    }
}

#[test]
fn an_address_has_one_at_and_no_blank() {
    for value in [
        "ann",
        "@example.org",
        "ann@",
        "ann@bob@example.org",
        "ann @example.org",
        "ann@exam\u{a0}ple.org",
        "ann＠bob@example.org",
        "\"ann@example.org",
    ] {
        let expected = (value != "\"ann@example.org").then_some(Implausible::Email);
        assert_eq!(fault("email", value), expected, "{value}");
    }
    for value in [
        "ann@example.org\n1002,bob@example.org",
        "ann@example.org\r",
        "a\0",
    ] {
        assert_eq!(fault("email", value), Some(Implausible::Control), "{value:?}");
    }
    for value in [
        "mailto:ann@example.org",
        "MailTo:ann@example.org",
        "<ann@example.org>",
        "Ann <ann@example.org>",
        "ann@example.org,",
        "ann@example.org;",
    ] {
        assert_eq!(fault("email", value), Some(Implausible::Wrapped), "{value}");
    }
    for value in ["=A1", "=\"00123\"", "＝A1"] {
        assert_eq!(fault("customer_id", value), Some(Implausible::Formula), "{value}");
    }
    for value in ["11", "١١", "7", "+1"] {
        assert_eq!(fault("phone", value), Some(Implausible::Phone), "{value}");
    }
    for value in [
        " ann@example.org ",
        "\"a b@c\"@example.org",
        "jörg@bücher.example",
        "ann＠example.org",
    ] {
        assert_eq!(fault("email", value), None, "{value}");
    }
    assert_eq!(fault("phone", "call me"), Some(Implausible::Phone));
    assert_eq!(fault("phone", "٠٥٠١٢٣٤٥٦٧"), None);
}

#[test]
fn what_only_holds_such_a_word_is_somebodys() {
    for value in [
        "nancy",
        "null-1",
        "unknown7",
        "00000001",
        "12345",
        "12345e12",
        "00e1",
        "123e4567",
        "2024E-12",
        "1e4f",
        "c++",
        "a",
        "na1",
        "none@example.org",
        "F",
        "ffffffff",
        "10000000-0000-0000-0000-000000000000",
        "Nullmeier",
    ] {
        assert_eq!(fault("customer_id", value), None, "{value}");
    }
}

#[test]
fn the_configuration_names_more_of_them() {
    let placeholders = Placeholders::new(&[
        "test@example.org".to_owned(),
        "guest".to_owned(),
        "+49 30 0000001".to_owned(),
    ]);
    let check = |kind: &str, value: &str| {
        let identity = Identity::taken(IdentityType::new(kind).unwrap(), value).unwrap();
        placeholders.check(&identity).is_err()
    };
    assert!(
        check("email", " Test@Example.org.")
            && check("customer_id", "Guest")
            && check("phone", "0049300000001")
    );
    assert!(!check("email", "test1@example.org") && !check("customer_id", "guest1"));
}

#[test]
fn addresses_and_names_that_hold_such_a_word_are_somebodys() {
    for value in [
        "null@example.org",
        "none@none.com",
        "=?@example.org",
        "inf@example.org",
    ] {
        assert_eq!(fault("email", value), None, "{value}");
    }
    assert_eq!(fault("phone", "112"), None);
    assert_eq!(fault("user_name", "Nana Null"), None);
    assert_eq!(fault("user_name", "🦄"), None);
}

proptest! {
    #[test]
    fn words_for_nothing_stay_so_in_any_signs_and_repeated(
        word in proptest::sample::select(&NOTHING[..]),
        signs in "[ \\-_.,;:!$%&*/|~<>(){}\\[\\]\"'…«»]{0,3}",
        times in 1..4_usize,
        upper: bool,
    ) {
        let word = if upper { word.to_uppercase() } else { word.to_owned() };
        let between = format!(" {signs}");
        let value = format!("{signs}{}{signs}", vec![word; times].join(&between));
        prop_assert_eq!(fault("customer_id", &value), Some(Implausible::Nothing), "{}", value);
    }

    #[test]
    fn numbers_of_customers_and_common_addresses_pass(
        number in "[1-9][0-9]{0,11}",
        key in "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
        name in "[a-z]{1,8}",
    ) {
        prop_assert_eq!(fault("customer_id", &number), None);
        prop_assert_eq!(fault("user_id", &key), None);
        prop_assert_eq!(fault("email", &format!("{name}@example.org")), None);
        prop_assert_eq!(fault("phone", &format!("+49 30 9{number}1820")), None);
    }
}
