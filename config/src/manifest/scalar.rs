//! The value of an unquoted scalar: YAML 1.2's core schema, without what YAML 1.1
//! reads differently.
//!
//! Kubernetes reads YAML 1.1, where `0777` is 511, `1_000` is 1000 and `yes` is
//! true. In YAML 1.2 they are 777, a string and a string. Here, all of them are
//! strings. If a field needs a number, such a value is a finding, and the author
//! can write it unambiguously. If it needs a boolean, `yes` is accepted.

use super::node::Value;

/// The value of an unquoted, untagged scalar.
pub(super) fn resolve(text: &str) -> Value {
    null(text)
        .or_else(|| boolean(text))
        .or_else(|| integer(text))
        .or_else(|| float(text))
        .or_else(|| word(text))
        .unwrap_or_else(|| Value::String(text.into()))
}

/// The value of a scalar with a standard YAML tag, if the text is valid for that
/// type.
pub(super) fn resolve_tagged(tag: Option<&str>, text: &str) -> Option<Value> {
    match tag? {
        "str" => Some(Value::String(text.into())),
        "null" => null(text),
        "bool" => boolean(text),
        "int" => integer(text).filter(|value| !matches!(value, Value::Float(_))),
        "float" => float(text),
        _ => None,
    }
}

/// A word that is a boolean if the field needs one
/// (<https://yaml.org/type/bool.html>).
fn word(text: &str) -> Option<Value> {
    let value = match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true,
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => false,
        _ => return None,
    };
    Some(Value::Word(text.into(), value))
}

fn null(text: &str) -> Option<Value> {
    matches!(text, "" | "~" | "null" | "Null" | "NULL").then_some(Value::Null)
}

fn boolean(text: &str) -> Option<Value> {
    match text {
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Value> {
    let based = |digits: &str, radix| {
        let digits = digits.bytes().all(|b| b.is_ascii_alphanumeric()).then_some(digits)?;
        i64::from_str_radix(digits, radix).ok().map(Value::Integer)
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8);
    }
    let digits = unsigned(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || leads_with_zero(digits) {
        return None;
    }
    let number = text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Large));
    // An integer of any length is a number. The caller knows the valid range and
    // reports values outside it.
    Some(number.unwrap_or_else(|_| Value::Float(text.parse().unwrap_or(f64::NAN))))
}

fn float(text: &str) -> Option<Value> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(Value::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(Value::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let digits = unsigned(text);
    let mut bytes = digits.bytes();
    // Rust also parses `inf` and `nan`, which are strings here.
    let first = bytes.next()?;
    if !(first.is_ascii_digit() || first == b'.') || digits == "." {
        return None;
    }
    if !bytes.all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    if leads_with_zero(whole) {
        return None;
    }
    text.parse().ok().map(Value::Float)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn leads_with_zero(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_numbers_and_words() {
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("FALSE", Value::Bool(false)),
            ("0", Value::Integer(0)),
            ("-0", Value::Integer(0)),
            ("8000", Value::Integer(8000)),
            ("+12", Value::Integer(12)),
            ("-1", Value::Integer(-1)),
            ("4294967297", Value::Integer(4_294_967_297)),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("9223372036854775808", Value::Large(1 << 63)),
            ("18446744073709551615", Value::Large(u64::MAX)),
            ("18446744073709551616", Value::Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775809", Value::Float(-9_223_372_036_854_775_809.0)),
            ("123456789012345678901234567890", Value::Float(1.234_567_890_123_456_8e29)),
            ("0x1F", Value::Integer(31)),
            ("0o14", Value::Integer(12)),
            ("1.5", Value::Float(1.5)),
            ("1.10", Value::Float(1.1)),
            (".5", Value::Float(0.5)),
            ("1.", Value::Float(1.0)),
            ("0.5", Value::Float(0.5)),
            ("-1e3", Value::Float(-1000.0)),
            ("1e999", Value::Float(f64::INFINITY)),
            (".inf", Value::Float(f64::INFINITY)),
            ("-.Inf", Value::Float(f64::NEG_INFINITY)),
        ];
        for (text, want) in cases {
            assert_eq!(resolve(text), want, "{text}");
        }
        assert!(matches!(resolve(".nan"), Value::Float(f) if f.is_nan()));
    }

    #[test]
    fn leaves_as_text_what_is_not_clearly_a_number() {
        let texts = [
            "nan",
            "inf",
            "+inf",
            "infinity",
            "0777",
            "00",
            "00.5",
            "1_000",
            "0x",
            "0x+1",
            "0o8",
            "0b1",
            "-",
            "+",
            ".",
            "..",
            "-.",
            "1.2.3",
            "1e",
            "e5",
            "1:30",
            "2024-01-01",
            "tRue",
            "0x1_0",
            "1 2",
            "10s",
            "é",
            "--1",
            "+-1",
        ];
        for text in texts {
            assert_eq!(resolve(text), Value::String(text.into()), "{text}");
        }
    }

    #[test]
    fn a_word_is_a_truth_value_where_one_is_wanted() {
        for (text, value) in
            [("yes", true), ("No", false), ("ON", true), ("off", false), ("y", true), ("N", false)]
        {
            assert_eq!(resolve(text), Value::Word(text.into(), value));
        }
        for text in ["yEs", "nope", "ye", "t"] {
            assert_eq!(resolve(text), Value::String(text.into()));
        }
    }

    #[test]
    fn a_tag_decides_the_type_or_refuses() {
        assert_eq!(resolve_tagged(Some("str"), "8000"), Some(Value::String("8000".into())));
        assert_eq!(resolve_tagged(Some("int"), "8000"), Some(Value::Integer(8000)));
        assert_eq!(resolve_tagged(Some("float"), "1"), Some(Value::Float(1.0)));
        assert_eq!(resolve_tagged(Some("bool"), "true"), Some(Value::Bool(true)));
        assert_eq!(resolve_tagged(Some("null"), ""), Some(Value::Null));
        for (tag, text) in [
            ("int", "x"),
            ("int", &*"9".repeat(30)),
            ("bool", "yes"),
            ("binary", "aGk="),
            ("map", ""),
        ] {
            assert_eq!(resolve_tagged(Some(tag), text), None, "{tag} {text}");
        }
    }
}
