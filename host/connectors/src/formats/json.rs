//! Walks through one JSON text, strictly by RFC 8259 and without building a tree. Knows nothing of
//! columns: the caller says what it expects next.

/// Arrays and objects inside each other; beyond it a text is an attack or a mistake.
const DEPTH_MAX: usize = 128;

/// The text is no JSON. Where and why is worked out only for the few records that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// A place in a JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    /// Its characters.
    pub(crate) text: &'a str,
    /// It has neither a fraction nor an exponent.
    pub(crate) is_whole: bool,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes are behind.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Back to a place where the scanner was before.
    pub(crate) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    /// The next byte; 0, which no JSON text holds, at the end.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Over white space.
    #[inline]
    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Over this byte, if it is the next.
    #[inline]
    pub(crate) fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// Over this byte, which must be the next.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.skip(byte) { Ok(()) } else { Err(NotJson) }
    }

    /// Over `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &str) -> Result<(), NotJson> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    /// Over white space, to the end.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(NotJson) }
    }

    /// Over a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, NotJson> {
        let from = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        let mut is_whole = true;
        if self.skip(b'.') {
            is_whole = false;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            is_whole = false;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Number { text: &self.text[from..self.at], is_whole })
    }

    #[inline]
    fn digits(&mut self) -> Result<(), NotJson> {
        let from = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(NotJson) }
    }

    /// Over a string; with escapes its text is put together in `scratch`.
    #[inline]
    pub(crate) fn string<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, NotJson>
    where
        'a: 's,
    {
        self.expect(b'"')?;
        let from = self.at;
        self.at += plain_bytes(&self.text.as_bytes()[from..]);
        match self.peek() {
            b'"' => {
                self.at += 1;
                Ok(&self.text[from..self.at - 1])
            }
            b'\\' => self.escaped(from, scratch),
            _ => Err(NotJson),
        }
    }

    #[cold]
    fn escaped<'s>(&mut self, from: usize, scratch: &'s mut String) -> Result<&'s str, NotJson> {
        scratch.clear();
        scratch.push_str(&self.text[from..self.at]);
        loop {
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(scratch);
                }
                b'\\' => {
                    self.at += 1;
                    scratch.push(self.escape()?);
                }
                _ => return Err(NotJson),
            }
            let plain = plain_bytes(&self.text.as_bytes()[self.at..]);
            scratch.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let kind = self.peek();
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return Err(NotJson),
        })
    }

    /// Characters beyond 16 bits are written as two surrogates, which mean nothing alone.
    fn code_point(&mut self) -> Result<char, NotJson> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(NotJson);
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(NotJson);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(NotJson)
    }

    fn hex4(&mut self) -> Result<u32, NotJson> {
        let mut value = 0;
        for _ in 0..4 {
            value = value << 4 | char::from(self.peek()).to_digit(16).ok_or(NotJson)?;
            self.at += 1;
        }
        Ok(value)
    }

    /// Over any value.
    pub(crate) fn value(&mut self, scratch: &mut String) -> Result<(), NotJson> {
        self.nested(scratch, DEPTH_MAX)
    }

    fn nested(&mut self, scratch: &mut String, depth: usize) -> Result<(), NotJson> {
        match self.peek() {
            b'"' => self.string(scratch).map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            open @ (b'{' | b'[') if depth > 0 => {
                self.at += 1;
                let (is_object, close) = if open == b'{' { (true, b'}') } else { (false, b']') };
                self.space();
                if self.skip(close) {
                    return Ok(());
                }
                loop {
                    if is_object {
                        self.string(scratch)?;
                        self.space();
                        self.expect(b':')?;
                        self.space();
                    }
                    self.nested(scratch, depth - 1)?;
                    self.space();
                    if self.skip(close) {
                        return Ok(());
                    }
                    self.expect(b',')?;
                    self.space();
                }
            }
            _ => self.number().map(drop),
        }
    }
}

/// Bytes before the first quote, backslash or control character; eight at a time.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The lowest byte that is marked is always rightly so; those above it may be by a borrow.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found =
            zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | controls;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.space();
        scanner.value(&mut String::new()).is_ok() && scanner.end().is_ok()
    }

    #[test]
    fn what_is_nearly_json_is_refused() {
        for text in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "1e+",
            "0x1",
            "tru",
            "nulll",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\" 1}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"a\tb\"",
            "\"a",
            "\"abcdefghijk\\",
            "'a'",
            "NaN",
            "Infinity",
            "1 2",
        ] {
            assert!(!is_json(text), "{text}");
        }
        assert!(!is_json(&"[".repeat(100_000)));
    }

    #[test]
    fn escapes_become_characters() {
        let mut scratch = String::new();
        let text = r#""\"\\\/\b\f\n\r\t\u00e4\uD834\uDD1E ß""#;
        assert_eq!(Scanner::new(text).string(&mut scratch), Ok("\"\\/\u{8}\u{c}\n\r\tä𝄞 ß"));
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(text in "[\\[\\]{}\",:0-9eE+.\\-\\\\truefalsn ]{0,12}") {
            prop_assert_eq!(is_json(&text), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let mut scratch = String::new();
            prop_assert_eq!(Scanner::new(&written).string(&mut scratch), Ok(text.as_str()));
        }
    }
}
