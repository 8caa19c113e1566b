//! JSON written as YAML. Every scalar is written as JSON writes it, which YAML reads as the same, so that nothing is guessed.

use serde_json::{Map, Value};

/// The text of a document.
pub(super) fn text(document: &Value) -> String {
    let mut text = String::new();
    write(&mut text, document, 0);
    text
}

fn write(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => write_members(text, members, depth),
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(text, depth);
                text.push('-');
                below(text, item, depth);
            }
        }
        scalar => {
            indent(text, depth);
            text.push_str(&format!("{scalar}\n"));
        }
    }
}

fn write_members(text: &mut String, members: &Map<String, Value>, depth: usize) {
    for (name, value) in members {
        indent(text, depth);
        text.push_str(&key(name));
        text.push(':');
        below(text, value, depth);
    }
}

/// What stands after a name or a hyphen.
fn below(text: &mut String, value: &Value, depth: usize) {
    let is_empty = match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if is_empty {
        text.push_str(&format!(" {value}\n"));
    } else {
        text.push('\n');
        write(text, value, depth + 1);
    }
}

/// A name that could be read as anything else stands in quotes.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&name);
    if is_plain {
        name.to_owned()
    } else {
        Value::String(name.to_owned()).to_string()
    }
}

fn indent(text: &mut String, depth: usize) {
    text.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn nothing_is_left_to_guess() {
        let document = json!({ "a": [{ "b": "no", "$ref": "#/x" }, [], {}], "on": null, "n": 1.5 });
        let expected =
            "a:\n  -\n    \"$ref\": \"#/x\"\n    b: \"no\"\n  - []\n  - {}\n\"n\": 1.5\n\"on\": null\n";
        assert_eq!(text(&document), expected);
    }
}
