//! How Python prints and judges JSON values. Ironic's error texts carry values the way `%s` shows them, and its
//! "is it set" is Python's truth value; operators and their scripts know both.

use serde_json::Value;

/// `str(value)` of the Python object that the JSON decodes to.
#[must_use]
pub fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            write_repr(value, &mut out);
            out
        }
    }
}

/// `bool(value)`: null, false, zero and everything empty are false.
#[must_use]
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// oslo.utils `strutils.bool_from_string(text, strict=True)`; `None` where it raises.
#[must_use]
pub fn bool_from_str(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Python's `repr`. The depth is bounded by the JSON parser that made the value.
fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_quoted(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_repr(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_quoted(key, out);
                out.push_str(": ");
                write_repr(item, out);
            }
            out.push('}');
        }
    }
}

/// A quoted Python string: single quotes, unless the text holds single quotes only.
fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_values_as_python_does() {
        assert_eq!(display(&json!("plain")), "plain");
        assert_eq!(display(&json!(null)), "None");
        assert_eq!(display(&json!(true)), "True");
        assert_eq!(display(&json!(1.5)), "1.5");
        assert_eq!(display(&json!(["a", 1])), "['a', 1]");
        assert_eq!(display(&json!({"k": "it's"})), r#"{'k': "it's"}"#);
    }

    #[test]
    fn judges_truth_as_python_does() {
        for falsy in [
            json!(null),
            json!(false),
            json!(0),
            json!(""),
            json!([]),
            json!({}),
        ] {
            assert!(!is_truthy(&falsy), "{falsy}");
        }
        for truthy in [json!(true), json!(-1), json!(" "), json!([0])] {
            assert!(is_truthy(&truthy), "{truthy}");
        }
        assert_eq!(bool_from_str(" YES "), Some(true));
        assert_eq!(bool_from_str("off"), Some(false));
        assert_eq!(bool_from_str("maybe"), None);
    }
}
