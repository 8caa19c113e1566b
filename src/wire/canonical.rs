//! One spelling for each JSON document, so that a repeated command can be told from a conflicting one.
//!
//! Keys are sorted, white space goes, escapes that are not needed go, a number is written by its value, and an id of
//! the message in lower case. It must never lose what tells two documents apart: an integer keeps all its digits,
//! however many, and a UUID within an identity or metadata is somebody's text, which keeps its case.

use std::ops::Range;

use super::{
    fields::uuid,
    scanner::{Cursor, Malformed, Quoted},
    validate::{Checked, value_of},
};

/// Whole numbers below this are exact as floating point, so `1.0` is written as `1`.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// The ids of a message, which are read in either case: a repeat may be written in the other one.
const IDS: [&str; 3] = ["command_id", "request_id", "hold_id"];

/// Writes the document in its one spelling.
pub(super) fn canonical(document: Checked<'_>) -> Vec<u8> {
    let text = document.text();
    let mut writer = Writer {
        cursor: Cursor::new(text),
        out: Vec::with_capacity(text.len()),
        depth: 0,
    };
    match writer.value() {
        Ok(()) => writer.out,
        // Cannot be: the text was checked. The text itself is then as good a spelling as any.
        Err(Malformed) => text.as_bytes().to_vec(),
    }
}

struct Writer<'a> {
    cursor: Cursor<'a>,
    out: Vec<u8>,
    /// How many objects and arrays are open.
    depth: usize,
}

impl Writer<'_> {
    /// Recursion is safe here: the depth of a checked document is bounded.
    fn value(&mut self) -> Result<(), Malformed> {
        match self.cursor.peek_token().ok_or(Malformed)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => {
                let quoted = self.cursor.string()?;
                self.quoted(quoted)
            }
            first @ (b'-' | b'0'..=b'9') => {
                let text = self.cursor.scalar(first)?;
                self.number(text)
            }
            first => {
                let text = self.cursor.scalar(first)?;
                self.verbatim(text)
            }
        }
    }

    fn nested(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.depth += 1;
        write(self)?;
        self.depth -= 1;
        Ok(())
    }

    /// The value of this key. An id that is none is left as it is: nothing reads it.
    fn member(&mut self, name: &str) -> Result<(), Malformed> {
        let is_id = self.depth == 1 && IDS.contains(&name);
        if !is_id || self.cursor.peek_token() != Some(b'"') {
            return self.value();
        }
        let quoted = self.cursor.string()?;
        // Nearly every id is in lower case already.
        if !quoted.escaped && !quoted.text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.verbatim(quoted.text);
        }
        match uuid(&value_of(quoted)) {
            Some(id) => self.verbatim(&format!("\"{id}\"")),
            None => self.quoted(quoted),
        }
    }

    fn quoted(&mut self, quoted: Quoted<'_>) -> Result<(), Malformed> {
        if quoted.escaped {
            self.string(&value_of(quoted))
        } else {
            self.verbatim(quoted.text)
        }
    }

    fn verbatim(&mut self, text: &str) -> Result<(), Malformed> {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn string(&mut self, value: &str) -> Result<(), Malformed> {
        serde_json::to_writer(&mut self.out, value).map_err(|_| Malformed)
    }

    fn number(&mut self, text: &str) -> Result<(), Malformed> {
        if !text.contains(['.', 'e', 'E']) {
            return self.verbatim(if text == "-0" { "0" } else { text });
        }
        let value: f64 = text.parse().map_err(|_| Malformed)?;
        if !value.is_finite() {
            return self.verbatim(text);
        }
        if value.fract() == 0.0 && value.abs() < EXACT_BELOW {
            // `+ 0.0` turns minus zero into zero.
            return self.verbatim(&format!("{:.0}", value + 0.0));
        }
        self.verbatim(&format!("{value:?}"))
    }

    fn array(&mut self) -> Result<(), Malformed> {
        self.cursor.advance();
        self.out.push(b'[');
        if self.cursor.peek_token() != Some(b']') {
            loop {
                self.value()?;
                if self.cursor.peek_token() != Some(b',') {
                    break;
                }
                self.cursor.advance();
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        self.cursor.expect(b']')
    }

    /// Writes the members as they come, then puts them into the order of their keys where they are not.
    fn object(&mut self) -> Result<(), Malformed> {
        self.cursor.advance();
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<(std::borrow::Cow<'_, str>, Range<usize>)> = Vec::new();
        if self.cursor.peek_token() != Some(b'}') {
            loop {
                let from = self.out.len();
                self.cursor.peek_token();
                let key = self.cursor.string()?;
                let name = value_of(key);
                self.quoted(key)?;
                self.cursor.expect(b':')?;
                self.out.push(b':');
                self.member(&name)?;
                members.push((name, from..self.out.len()));
                if self.cursor.peek_token() != Some(b',') {
                    break;
                }
                self.cursor.advance();
                self.out.push(b',');
            }
        }
        if !members.is_sorted_by(|a, b| a.0 <= b.0) {
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let mut sorted = Vec::with_capacity(self.out.len() - start);
            for (_, range) in &members {
                if !sorted.is_empty() {
                    sorted.push(b',');
                }
                sorted.extend_from_slice(self.out.get(range.clone()).ok_or(Malformed)?);
            }
            self.out.truncate(start);
            self.out.extend_from_slice(&sorted);
        }
        self.out.push(b'}');
        self.cursor.expect(b'}')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::validate::check;

    fn spelled(text: &str) -> String {
        String::from_utf8(canonical(check(text.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn key_order_space_escapes_and_spelling_of_numbers_do_not_count() {
        let one = r#"{"b":[1,2.50,"ä/"],"a":{"y":null,"x":true},"n":[1,0,0,15,1e300]}"#;
        let other = r#" { "n" : [1.0, -0, -0.0, 1.5e1, 1E+300], "a":{"x":true , "y":null},
            "\u0062": [ 1 , 25e-1 , "\u00e4\/" ] } "#;
        assert_eq!(spelled(one), spelled(other));
        assert_eq!(
            spelled(one),
            r#"{"a":{"x":true,"y":null},"b":[1,2.5,"ä/"],"n":[1,0,0,15,1e300]}"#
        );
    }

    #[test]
    fn an_id_of_the_message_is_the_same_in_either_case() {
        let lower = "018f6f2e-7c1a-7b3e-9a44-0000000000ab";
        for name in IDS {
            let one = format!(r#"{{"{name}":"{lower}"}}"#);
            assert_eq!(spelled(&one), one);
            for other in [lower.to_uppercase(), lower.replace("018f", "\\u0030\\u00318F")] {
                assert_eq!(spelled(&format!(r#"{{"{name}": "{other}"}}"#)), one);
            }
        }
    }

    #[test]
    fn what_differs_stays_different() {
        let pairs = [
            (
                r#"{"metadata":{"request_id":"018F6F2E-7C1A-7B3E-9A44-0000000000AB"}}"#,
                r#"{"metadata":{"request_id":"018f6f2e-7c1a-7b3e-9a44-0000000000ab"}}"#,
            ),
            (
                r#"[{"request_id":"018F6F2E-7C1A-7B3E-9A44-0000000000AB"}]"#,
                r#"[{"request_id":"018f6f2e-7c1a-7b3e-9a44-0000000000ab"}]"#,
            ),
            (
                r#"{"ticket":"018F6F2E-7C1A-7B3E-9A44-0000000000AB"}"#,
                r#"{"ticket":"018f6f2e-7c1a-7b3e-9a44-0000000000ab"}"#,
            ),
            (r#"{"request_id":"A"}"#, r#"{"request_id":"a"}"#),
            ("[1,2]", "[2,1]"),
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            ("1e999", "1e998"),
            (r#"{"a":1}"#, r#"{"a":null}"#),
            (r#"{"a":null}"#, "{}"),
            (r#""1""#, "1"),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"c":1}}"#),
            (r#""\n""#, r#"" ""#),
        ];
        for (one, other) in pairs {
            assert_ne!(spelled(one), spelled(other));
        }
    }
}
