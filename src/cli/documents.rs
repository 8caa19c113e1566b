//! The JSON documents of a file: an object, JSON lines, or an array of objects.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The documents of an input, each with the line that it begins on: an object, JSON lines, or a JSON array of objects.
/// The line on which an array is broken otherwise. A byte order mark before them says nothing.
pub(super) fn documents(input: &[u8]) -> Result<Vec<(usize, &[u8])>, usize> {
    let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let is_blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
    let first = input
        .split(|b| *b == b'\n')
        .enumerate()
        .find(|(_, line)| !is_blank(line));
    let Some((number, first)) = first else {
        return Ok(Vec::new());
    };
    if first.trim_ascii_start().first() == Some(&b'[') {
        return elements(input);
    }
    let is_value = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    // A first line that is no document of its own begins one that goes over several lines.
    let is_single = is_value(input) || (!is_value(first) && first.trim_ascii() == b"{");
    if is_single {
        return Ok(vec![(number + 1, input)]);
    }
    let lines = input
        .split(|b| *b == b'\n')
        .enumerate()
        .filter(|(_, line)| !is_blank(line));
    Ok(lines.map(|(number, line)| (number + 1, line)).collect())
}

/// The elements of an array, byte for byte.
fn elements(input: &[u8]) -> Result<Vec<(usize, &[u8])>, usize> {
    let list: Vec<&RawValue> = serde_json::from_slice(input).map_err(|error| error.line())?;
    let (mut line, mut seen) = (1, 0);
    Ok(list
        .into_iter()
        .map(|element| {
            let element = element.get().as_bytes();
            let start = element.as_ptr().addr() - input.as_ptr().addr();
            line += input[seen..start].iter().filter(|byte| **byte == b'\n').count();
            seen = start;
            (line, element)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_may_go_over_lines_and_lines_are_counted_from_one() {
        let cases: &[(&str, &[usize])] = &[
            ("", &[]),
            (" \n\n", &[]),
            ("{}", &[1]),
            ("\n{\n \"a\": 1\n}\n", &[2]),
            ("{\n \"a\": \n", &[1]),
            ("{}\n\n{}\n", &[1, 3]),
            ("nonsense\n{}\n", &[1, 2]),
            ("\u{feff}{}\n{}\n", &[1, 2]),
            ("[]", &[]),
            ("\u{feff}\n [{\n},\n\n {} ,{}]\n", &[2, 5, 5]),
        ];
        for (input, expected) in cases {
            let lines: Vec<usize> = documents(input.as_bytes())
                .unwrap()
                .into_iter()
                .map(|(line, _)| line)
                .collect();
            assert_eq!(lines, *expected, "{input:?}");
        }
    }
}
