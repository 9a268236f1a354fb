//! A reader of JSON text (RFC 8259) that knows where it stands.
//!
//! It exists beside `serde_json` for three reasons: it says at which byte a
//! record is wrong and sees duplicate keys, it rounds numbers correctly, and
//! it borrows every text without escapes.

use std::borrow::Cow;

/// A text and a position in it.
#[derive(Debug)]
pub(crate) struct JsonText<'a> {
    text: &'a str,
    at: usize,
}

/// The text is no JSON: where and why.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) at: usize,
    pub(crate) what: Cow<'static, str>,
}

/// The kind of the next value, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Object,
    Array,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }
}

impl<'a> JsonText<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next token begins, after white space.
    pub(crate) fn position(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, what: impl Into<Cow<'static, str>>) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, what: what.into() })
    }

    fn expected<T>(&self, wanted: &str) -> Result<T, Syntax> {
        let found = match self.text[self.at..].chars().next() {
            None => "the record ends here".to_owned(),
            Some(found) if found.is_control() => format!("found `{}`", found.escape_debug()),
            Some(found) => format!("found `{found}`"),
        };
        self.wrong(format!("{wanted} expected, {found}"))
    }

    /// Takes a punctuation mark if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, mark: u8) -> bool {
        self.skip_space();
        let there = self.peek() == Some(mark);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn expect(&mut self, mark: u8, name: &str) -> Result<(), Syntax> {
        if self.take(mark) { Ok(()) } else { self.expected(name) }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Syntax> {
        self.skip_space();
        if self.at == self.text.len() {
            return Ok(());
        }
        self.wrong("more text follows the object: a record holds one object")
    }

    /// The kind of the next value.
    #[inline]
    pub(crate) fn kind(&mut self) -> Result<Kind, Syntax> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') if self.text[self.at..].starts_with("-Infinity") => {
                self.not_a_number("-Infinity")
            }
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'N') if self.text[self.at..].starts_with("NaN") => self.not_a_number("NaN"),
            Some(b'I') if self.text[self.at..].starts_with("Infinity") => {
                self.not_a_number("Infinity")
            }
            _ => self.expected("a value"),
        }
    }

    fn not_a_number<T>(&self, name: &str) -> Result<T, Syntax> {
        self.wrong(format!("JSON has no {name}: write null, or send Avro, which has it"))
    }

    /// The literal `null`.
    pub(crate) fn null(&mut self) -> Result<(), Syntax> {
        self.literal("null")
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Syntax> {
        let value = self.peek() == Some(b't');
        self.literal(if value { "true" } else { "false" }).map(|()| value)
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), Syntax> {
        if self.text[self.at..].starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        self.expected(literal)
    }

    /// The characters of a number, checked against the grammar.
    pub(crate) fn number(&mut self) -> Result<&'a str, Syntax> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => {
                self.at += 1;
                if matches!(self.peek(), Some(b'0'..=b'9')) {
                    return self.wrong("a number has no leading zero");
                }
            }
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    /// A string, borrowed where it has no escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Syntax> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped_string(start),
                Some(0x20..) => self.at += 1,
                _ => return self.unfinished_string(),
            }
        }
    }

    fn unfinished_string<T>(&self) -> Result<T, Syntax> {
        match self.peek() {
            None => self.wrong("the record ends in the middle of a string"),
            Some(byte) => {
                self.wrong(format!("a string holds the control character {byte:#04x}: escape it"))
            }
        }
    }

    /// The rest of a string from its first escape on.
    fn escaped_string(&mut self, start: usize) -> Result<Cow<'a, str>, Syntax> {
        let mut owned = self.text[start..self.at].to_owned();
        let mut plain = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    owned.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => {
                    owned.push_str(&self.text[plain..self.at]);
                    owned.push(self.escape()?);
                    plain = self.at;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.unfinished_string(),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Syntax> {
        let start = self.at;
        self.at += 1;
        let escape = self.peek();
        self.at += usize::from(escape.is_some_and(|byte| byte.is_ascii()));
        Ok(match escape {
            Some(mark @ (b'"' | b'\\' | b'/')) => char::from(mark),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => {
                self.at = start;
                return self.wrong("unknown escape in a string");
            }
        })
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Syntax> {
        let first = self.four_hex_digits()?;
        let code = if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.four_hex_digits()?;
            if (0xDC00..0xE000).contains(&second) {
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            } else {
                first
            }
        } else {
            first
        };
        char::from_u32(code).map_or_else(
            || Err(Syntax { at: start, what: "half of a surrogate pair in a string".into() }),
            Ok,
        )
    }

    fn four_hex_digits(&mut self) -> Result<u32, Syntax> {
        let digits =
            self.bytes().get(self.at..self.at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return self.expected("four hexadecimal digits") };
        self.at += 4;
        Ok(digits
            .iter()
            .fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or(0)))
    }
}
