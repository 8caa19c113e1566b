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
fn what_is_no_number_is_masked_as_it_is() {
    let mask = Mask::of(&[identity("phone", "unknown")]);
    let text = "1 2 3 4 5 6 7 8 9 10 11 12 13 14";
    assert_eq!(mask.text(text), text);
    assert_eq!(
        mask.text("unknown, at +49 30 901820"),
        "[phone], at +49 30 901820"
    );
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
fn names_of_work_stay_when_identifiers_are_forgotten() {
    let mask = Mask::of_forgotten();
    for name in [
        "job-202611300042",
        "202611300042",
        "4b0c1234-5678-4e1f-a1f8-123456789012",
    ] {
        assert_eq!(mask.reference(name), name);
    }
    let uuid = "see 4b0c1234-5678-4e1f-a1f8-123456789012.";
    assert_eq!(mask.text(uuid), uuid);
    assert_eq!(mask.reference("+49 30 1234567"), "[phone]");
    assert_eq!(mask.reference("ann@example.org"), "[email]");
    let known = Mask::of(&[identity("phone", "+4930123456789")]);
    assert_eq!(known.reference("job of 030 123456789"), "job of [phone]");
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
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]
    #[test]
    fn any_text_can_be_masked(text in "\\PC{0,80}", value in "\\PC{0,20}") {
        for kind in ["email", "phone", "customer_id"] {
            Mask::of(&[identity(kind, &value)]).text(&text);
        }
        Mask::of_forgotten().text(&text);
    }

    #[test]
    fn a_value_is_never_left(value in "[a-z0-9]{6,12}@[a-z]{3,8}\\.org", before in "[ (<=:]{0,6}", after in "[ ,;>)]{0,3}") {
        let masked = Mask::of(&[identity("email", &value)]).text(&format!("{before}{value}{after}"));
        proptest::prop_assert!(!masked.contains(&value));
    }
}
