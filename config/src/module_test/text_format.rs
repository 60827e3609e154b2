//! Protobuf's text format, as a tree with positions.
//!
//! The libraries for it produce a message without positions, but a test that fails is named by its
//! line. The fields are the reader's matter, as in YAML: here, a field that occurs more than once
//! is a list.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use crate::manifest::{Key, Node, Position, Value};

/// The most messages inside each other.
const MAX_DEPTH: usize = 64;

/// What is wrong in a text, and where.
#[derive(Debug)]
pub(super) struct FormatError {
    pub(super) at: Position,
    message: String,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Parses a whole text: the fields of a message.
pub(super) fn parse(text: &str) -> Result<Node, FormatError> {
    let mut parser = Parser { text, rest: text.char_indices().peekable(), at: Position::START };
    let fields = parser.fields(None, 0)?;
    Ok(Node { at: Position::START, value: fields })
}

struct Parser<'t> {
    text: &'t str,
    rest: Peekable<CharIndices<'t>>,
    /// The position of the next character.
    at: Position,
}

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, character)| *character)
    }

    fn offset(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(offset, _)| *offset)
    }

    fn next(&mut self) -> Option<char> {
        let (_, character) = self.rest.next()?;
        if character == '\n' {
            self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(character)
    }

    /// Takes the next character if it is one of these.
    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let found = self.peek().filter(|character| wanted.contains(character))?;
        self.next();
        Some(found)
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'t str {
        let start = self.offset();
        while self.peek().is_some_and(&accepts) {
            self.next();
        }
        let end = self.offset();
        &self.text[start..end]
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if self.peek() != Some('#') {
                return;
            }
            self.take_while(|character| character != '\n');
        }
    }

    fn error<T>(&mut self, wanted: &str) -> Result<T, FormatError> {
        let found = match self.peek() {
            Some(character) => format!("`{character}`"),
            None => "the end of the file".to_owned(),
        };
        self.fail(format!("found {found}, but expected {wanted}"))
    }

    fn fail<T>(&self, message: String) -> Result<T, FormatError> {
        Err(FormatError { at: self.at, message })
    }

    /// The fields of a message, up to the bracket that closes it, or the end of the text.
    fn fields(&mut self, close: Option<char>, depth: usize) -> Result<Value, FormatError> {
        if depth > MAX_DEPTH {
            return self.fail(format!("more than {MAX_DEPTH} messages inside each other"));
        }
        let mut fields: Vec<(Key, Vec<Node>)> = Vec::new();
        loop {
            self.skip();
            match (close, self.peek()) {
                (None, None) => break,
                (Some(close), Some(found)) if close == found => {
                    self.next();
                    break;
                }
                _ => {}
            }
            let (key, values) = self.field(depth)?;
            match fields.iter_mut().find(|(known, _)| known.name == key.name) {
                Some((_, known)) => known.extend(values),
                None => fields.push((key, values)),
            }
        }
        Ok(Value::Map(fields.into_iter().map(single).collect()))
    }

    fn field(&mut self, depth: usize) -> Result<(Key, Vec<Node>), FormatError> {
        let at = self.at;
        let name = self.take_while(is_word);
        if name.is_empty() {
            return self.error("the name of a field");
        }
        self.skip();
        let has_colon = self.take(&[':']).is_some();
        self.skip();
        let is_message = matches!(self.peek(), Some('{' | '<' | '['));
        if !has_colon && !is_message {
            return self.error("`:` or `{`");
        }
        let mut values = Vec::new();
        if self.take(&['[']).is_some() {
            self.list(at, depth, &mut values)?;
        } else {
            values.push(self.value(at, depth)?);
        }
        self.skip();
        self.take(&[',', ';']);
        Ok((Key { at, name: name.into() }, values))
    }

    fn list(
        &mut self,
        at: Position,
        depth: usize,
        values: &mut Vec<Node>,
    ) -> Result<(), FormatError> {
        loop {
            self.skip();
            if self.take(&[']']).is_some() {
                return Ok(());
            }
            values.push(self.value(at, depth)?);
            self.skip();
            if self.take(&[',']).is_none() && self.peek() != Some(']') {
                return self.error("`,` or `]`");
            }
        }
    }

    /// A value. A message is at the position of its field, which is where a reader looks for it.
    fn value(&mut self, field_at: Position, depth: usize) -> Result<Node, FormatError> {
        let at = self.at;
        match self.peek() {
            Some('{') => {
                self.next();
                Ok(Node { at: field_at, value: self.fields(Some('}'), depth + 1)? })
            }
            Some('<') => {
                self.next();
                Ok(Node { at: field_at, value: self.fields(Some('>'), depth + 1)? })
            }
            Some('"' | '\'') => {
                let bytes = self.strings()?;
                let value = match String::from_utf8(bytes) {
                    Ok(text) => Value::String(text.into()),
                    Err(error) => Value::Bytes(error.into_bytes().into()),
                };
                Ok(Node { at, value })
            }
            _ => Ok(Node { at, value: self.word()? }),
        }
    }

    /// A number or a name.
    fn word(&mut self) -> Result<Value, FormatError> {
        let word = self.take_while(|character| is_word(character) || "+-.".contains(character));
        let unsigned = word.strip_prefix('-').unwrap_or(word);
        if word.is_empty() {
            return self.error("a value");
        }
        if unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return match number(word) {
                Some(value) => Ok(value),
                None => self.fail(format!("`{word}` is not a valid number")),
            };
        }
        if !word.chars().all(is_word) {
            return self.fail(format!("`{word}` is not a valid value"));
        }
        Ok(match word {
            "true" | "True" | "t" => Value::Bool(true),
            "false" | "False" | "f" => Value::Bool(false),
            name => Value::String(name.into()),
        })
    }

    /// String literals next to each other, which are one string.
    fn strings(&mut self) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        while let Some(quote) = self.take(&['"', '\'']) {
            loop {
                match self.peek() {
                    None | Some('\n') => return self.error(&format!("`{quote}`")),
                    Some(character) if character == quote => {
                        self.next();
                        break;
                    }
                    Some('\\') => {
                        self.next();
                        self.escape(&mut bytes)?;
                    }
                    Some(character) => {
                        self.next();
                        push(&mut bytes, character);
                    }
                }
            }
            self.skip();
        }
        Ok(bytes)
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
        let Some(kind) = self.peek() else { return self.error("an escape") };
        if let '0'..='7' = kind {
            let code = self.digits(8, 3);
            // As in protobuf, a larger number loses its highest bit.
            bytes.push(code.to_le_bytes()[0]);
            return Ok(());
        }
        let plain = match kind {
            'a' => 0x07,
            'b' => 0x08,
            't' => b'\t',
            'n' => b'\n',
            'v' => 0x0b,
            'f' => 0x0c,
            'r' => b'\r',
            '?' => b'?',
            '\\' => b'\\',
            '\'' => b'\'',
            '"' => b'"',
            'x' | 'X' | 'u' | 'U' => {
                self.next();
                return self.code(kind, bytes);
            }
            _ => return self.error("an escape, such as \\n or \\x0a"),
        };
        self.next();
        bytes.push(plain);
        Ok(())
    }

    /// The hexadecimal digits of an escape: of a byte, or of a character.
    fn code(&mut self, kind: char, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
        let (least, most) = match kind {
            'u' => (4, 4),
            'U' => (8, 8),
            _ => (1, 2),
        };
        let start = self.offset();
        let code = self.digits(16, most);
        if self.offset() - start < least {
            return self.error("a hexadecimal digit");
        }
        if most == 2 {
            bytes.push(code.to_le_bytes()[0]);
            return Ok(());
        }
        match char::from_u32(code) {
            Some(character) => push(bytes, character),
            None => return self.fail(format!("{code:#x} is not a Unicode character")),
        }
        Ok(())
    }

    /// The number that up to `most` digits of this base are.
    fn digits(&mut self, base: u32, most: usize) -> u32 {
        let mut code = 0_u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|digit| digit.to_digit(base)) else { break };
            self.next();
            code = code.wrapping_mul(base).wrapping_add(digit);
        }
        code
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A field that occurs once is a value, any other one a list.
fn single((key, mut values): (Key, Vec<Node>)) -> (Key, Node) {
    let node = match values.len() {
        1 => values.remove(0),
        _ => Node { at: key.at, value: Value::List(values.into()) },
    };
    (key, node)
}

/// A number: decimal, octal or hexadecimal, or with a fraction.
fn number(word: &str) -> Option<Value> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let whole = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None if digits.len() > 1 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let base = if digits.starts_with('0') { 8 } else { 10 };
            i128::from_str_radix(digits, base).ok()
        }
        None => digits.parse().ok(),
    };
    if let Some(whole) = whole.map(|whole| sign * whole) {
        let small = i64::try_from(whole).ok().map(Value::Integer);
        return small.or_else(|| u64::try_from(whole).ok().map(Value::Large));
    }
    word.trim_end_matches(['f', 'F']).parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        let root = parse(&format!("a: {text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
        root.get("a").expect("the field").value.clone()
    }

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn scalars() {
        for (text, expected) in [
            ("\"x\"", string("x")),
            ("'it''s' # more\n \"!\"", string("its!")),
            (r#""\a\b\t\n\v\f\r\?\\\'\"""#, string("\u{7}\u{8}\t\n\u{b}\u{c}\r?\\'\"")),
            (r#""\101\x42\u00e9\U0001F600é\0""#, string("ABé😀é\0")),
            (r#""\377\xff""#, Value::Bytes([0xff, 0xff].into())),
            ("12", Value::Integer(12)),
            ("-0x1F", Value::Integer(-31)),
            ("017", Value::Integer(15)),
            ("0", Value::Integer(0)),
            ("18446744073709551615", Value::Large(u64::MAX)),
            ("1.5f", Value::Float(1.5)),
            ("-.5e1", Value::Float(-5.0)),
            ("true", Value::Bool(true)),
            ("f", Value::Bool(false)),
            ("DEBUG", string("DEBUG")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_an_error(text in r#"([a-z{}<>\[\]:;,#'"\\0-9xuU.\-\n é]|\PC){0,60}"#) {
            if let Err(error) = parse(&text) {
                let lines = text.split('\n').count();
                assert!(usize::try_from(error.at.line).is_ok_and(|line| (1..=lines).contains(&line)));
            }
        }
    }

    #[test]
    fn messages_and_repeated_fields() {
        let root = parse("# head\nm { a: 1, b <c: 2;> }\nm: {a: 3}\nn: [1, 2]\nn: 3 o []").unwrap();
        let at = |line, column| Position { line, column };
        let items = root.get("m").expect("m").items();
        assert_eq!(items.iter().map(|item| item.at).collect::<Vec<_>>(), [at(2, 1), at(3, 1)]);
        let inner = items[0].get("b").and_then(|inner| inner.get("c")).expect("c");
        assert_eq!((inner.as_i64(), inner.at), (Some(2), at(2, 17)));
        let numbers = root.get("n").expect("n").items();
        assert_eq!(numbers.iter().filter_map(Node::as_i64).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(root.get("o").expect("o").as_list(), Some(&[][..]));
    }

    #[test]
    fn errors_have_a_position_and_a_remedy() {
        for (text, expected) in [
            ("a 1", "1:3: found `1`, but expected `:` or `{`"),
            ("a {\n  b: 1", "2:7: found the end of the file, but expected the name of a field"),
            ("a: \"x\n\"", "1:6: found `\n`, but expected `\"`"),
            ("a: '\\q'", "1:6: found `q`, but expected an escape, such as \\n or \\x0a"),
            ("a: '\\u12'", "1:9: found `'`, but expected a hexadecimal digit"),
            ("a: '\\ud800'", "1:11: 0xd800 is not a Unicode character"),
            ("a: [1 2]", "1:7: found `2`, but expected `,` or `]`"),
            ("a: -", "1:5: `-` is not a valid value"),
            ("a: b.c", "1:7: `b.c` is not a valid value"),
            ("a: 1x", "1:6: `1x` is not a valid number"),
            ("a:", "1:3: found the end of the file, but expected a value"),
            ("[x.y] {}", "1:1: found `[`, but expected the name of a field"),
            ("}", "1:1: found `}`, but expected the name of a field"),
        ] {
            let error = parse(text).expect_err(text);
            let Position { line, column } = error.at;
            assert_eq!(format!("{line}:{column}: {error}"), expected, "{text}");
        }
        assert!(parse(&"a {".repeat(100_000)).is_err());
    }
}
