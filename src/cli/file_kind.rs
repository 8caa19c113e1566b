//! Files that are something else than the text that a command reads: named for what they are, before anything of them is
//! taken for a line.

/// How much of a file shows what it is.
pub(super) const LOOKED_AT: usize = 4096;

/// How files of other kinds begin, and what to do with them.
const KINDS: [(&[u8], &str); 14] = [
    (b"\x1f\x8b", "this is a gzip file: unpack it (gunzip -c FILE)"),
    (
        b"PK\x03\x04",
        "this is a zip archive, such as an Excel workbook (.xlsx): unpack it, or save the sheet as CSV in UTF-8",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "this is an old Excel workbook (.xls): save the sheet as CSV in UTF-8",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "this is a zstd file: unpack it (zstd -dc FILE)",
    ),
    (b"BZh", "this is a bzip2 file: unpack it (bunzip2 -c FILE)"),
    (b"\xfd7zXZ\0", "this is an xz file: unpack it (xz -dc FILE)"),
    (b"7z\xbc\xaf\x27\x1c", "this is a 7z archive: unpack it"),
    (b"%PDF", "this is a PDF: export the data as CSV in UTF-8"),
    (
        b"SQLite format 3\0",
        "this is an SQLite database: export the table as CSV in UTF-8",
    ),
    (b"PAR1", "this is a Parquet file: export it as CSV in UTF-8"),
    // Before those of UTF-16, with which it begins.
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
];

const UTF_16: &str = "this is text in UTF-16, as Excel's \"Unicode text\" is: save it as UTF-8 (iconv -f UTF-16 -t UTF-8 FILE)";

const UTF_32: &str = "this is text in UTF-32: save it as UTF-8 (iconv -f UTF-32 -t UTF-8 FILE)";

/// What a file is that begins so, where it is no text in UTF-8, and what to do with it.
pub(super) fn kind_of(start: &[u8]) -> Option<&'static str> {
    let known = KINDS.iter().find(|(magic, _)| start.starts_with(magic));
    if let Some((_, what)) = known {
        return Some(what);
    }
    let start = start.get(..LOOKED_AT).unwrap_or(start);
    let zeros = start.iter().filter(|byte| **byte == 0).count();
    match zeros {
        0 => None,
        // Of ASCII in UTF-32 three of four bytes are zero.
        _ if zeros * 3 >= start.len() * 2 && start.len() >= 4 => Some(UTF_32),
        // Of ASCII in UTF-16 every other byte is zero.
        _ if zeros * 3 >= start.len() => Some(UTF_16),
        _ => Some("this is no text: it has bytes that are zero"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_for_what_they_are() {
        let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let cases: &[(&[u8], &str)] = &[
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"PK\x03\x04\x14\0", ".xlsx"),
            (b"\xff\xfee\0m\0", "UTF-16"),
            (b"\xfe\xff\0e\0m", "UTF-16"),
            (&utf_16("email\na@example.org\n"), "UTF-16"),
            (b"\xff\xfe\0\0e\0\0\0", "UTF-32"),
            (b"\0\0\xfe\xff\0\0\0e", "UTF-32"),
            (b"e\0\0\0m\0\0\0a\0\0\0", "UTF-32"),
            (b"email\na@example.org\n\0", "no text"),
        ];
        for (start, named) in cases {
            assert!(kind_of(start).is_some_and(|what| what.contains(named)), "{named}");
        }
        for text in [
            "",
            "email\n",
            "\u{feff}email\n",
            "{\"email\":\"ü\"}",
            "BZ\n",
            "P\n",
        ] {
            assert_eq!(kind_of(text.as_bytes()), None, "{text}");
        }
    }
}
