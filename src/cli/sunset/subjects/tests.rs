use super::*;

fn types() -> Types {
    Types(
        ["email", "customer_id"]
            .map(|name| IdentityType::new(name).unwrap())
            .into(),
    )
}

/// Line, end and values of each entry.
type Read = Vec<(u64, Place, Result<Vec<String>, Wrong>)>;

fn input(content: &[u8]) -> (tempfile::TempDir, Input) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subjects");
    std::fs::write(&path, content).unwrap();
    let input = Input::open(&path).unwrap();
    (folder, input)
}

fn read(input: &Input, from: Place) -> Result<Read, Failure> {
    let (types, none) = (types(), Placeholders::default());
    let mut subjects = Subjects::open(input, Format::of(input)?, &types, &none, from)?;
    let mut found = Vec::new();
    while let Some(Entry {
        line,
        end,
        identities,
    }) = subjects.next()?
    {
        let values = identities.map(|list| list.iter().map(|one| one.value.expose().to_owned()).collect());
        found.push((line, end, values));
    }
    Ok(found)
}

#[test]
fn csv_and_json_lines_give_the_same_subjects_and_can_be_taken_up_anywhere() {
    let csv =
        b"\xef\xbb\xbfcustomer_id, email\r\n1,a@b.c\n\n\"2\",\"d@e.f\"\n3,\n,\n4\n5,\xff\n6,NULL\n7,z@z.z";
    let json = b"\n{\"customer_id\":1,\"email\":\"a@b.c\"}\n\n{\"customer_id\":\"2\",\"email\":\"d@e.f\"}\n\
        {\"customer_id\":3}\n{}\n4\n{\"email\":\"\xff\"}\n{\"customer_id\":\"NULL\"}\n{\"customer_id\":7,\"email\":\"z@z.z\"}";
    for content in [csv.as_slice(), json.as_slice()] {
        let (_folder, input) = input(content);
        let all = read(&input, Place::default()).unwrap();
        let values: Vec<Option<Vec<&str>>> = all
            .iter()
            .map(|(_, _, values)| {
                values
                    .as_ref()
                    .ok()
                    .map(|list| list.iter().map(String::as_str).collect())
            })
            .collect();
        let expected = [
            Some(vec!["1", "a@b.c"]),
            Some(vec!["2", "d@e.f"]),
            Some(vec!["3"]),
            Some(vec![]),
            None,
            None,
            None,
            Some(vec!["7", "z@z.z"]),
        ];
        assert_eq!(values, expected);
        assert_eq!(all.last().unwrap().1.offset, content.len() as u64);
        for (n, (_, end, _)) in all.iter().enumerate() {
            assert_eq!(read(&input, *end).unwrap(), all[n + 1..], "from {end:?}");
        }
    }
}

#[test]
fn lines_are_those_of_the_file() {
    let (_folder, input) = input(b"email\na@b.c\n\"x@y\n.z\"\n\nd@e.f\n");
    let lines: Vec<u64> = read(&input, Place::default())
        .unwrap()
        .iter()
        .map(|read| read.0)
        .collect();
    assert_eq!(lines, [2, 3, 6]);
}

#[test]
fn an_opening_quote_without_its_closing_one_swallows_nobody() {
    for text in [
        "customer_id,email\n1001,\"ann@example.org\n1002,bob@example.org\n1003,carol@example.org\n",
        "customer_id,email\n1001,\"ann@example.org\n1002,\"bob@example.org\"\n1003,carol@example.org\n",
    ] {
        let (_folder, input) = input(text.as_bytes());
        let said = read(&input, Place::default()).unwrap_err().to_string();
        assert!(said.contains(":2: a quote is opened here"), "{said}");
        assert!(!said.contains("example.org"), "{said}");
    }
    // Three people in one row that is well formed: it is said, and nobody is taken for another.
    let (_folder, input) = input(b"customer_id,email\n1,\"a@b.c\n2,d@e.f\n3,g\"\n4,z@z.z\n");
    let found = read(&input, Place::default()).unwrap();
    assert_eq!(found.len(), 2);
    assert!(
        found[0]
            .2
            .as_ref()
            .is_err_and(|wrong| wrong.contains("lines 2 to 4")),
        "{found:?}"
    );
}

#[test]
fn a_file_that_is_no_text_is_named_for_what_it_is() {
    let utf_16: Vec<u8> = "email\na@b.c\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (content, named) in [
        (&b"\x1f\x8b\x08\0canary"[..], "gzip"),
        (b"PK\x03\x04canary", "xlsx"),
        (&utf_16, "UTF-16"),
        (b"[{\"email\":\"canary@example.org\"}]", "JSON array"),
    ] {
        let (_folder, input) = input(content);
        let said = read(&input, Place::default()).unwrap_err().to_string();
        assert!(said.contains(named) && !said.contains("canary"), "{said}");
    }
}

#[test]
fn a_header_that_is_none_is_refused_and_not_repeated() {
    for content in [
        "canary@example.org\nx\n",
        "email;canary\n",
        "email,email\n",
        "",
        "\n",
    ] {
        let (_folder, input) = input(content.as_bytes());
        let failure = read(&input, Place::default()).unwrap_err();
        assert!(!failure.to_string().contains("canary"), "{failure}");
    }
}

#[test]
fn a_quote_that_is_not_closed_ends_the_reading() {
    let content = [b"email\n\"".as_slice(), &b"a@b.c\n".repeat(2_000_000)].concat();
    let (_folder, input) = input(&content);
    let failure = read(&input, Place::default()).unwrap_err();
    let said = failure.to_string();
    assert!(said.contains(":2: ") && said.contains("quote"), "{said}");
}
