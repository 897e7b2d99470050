//! The words of a rule.
//!
//! The server's lexer takes the first of its patterns that matches, in this order: blanks, keywords and
//! signs, quoted strings, IPv4 addresses, IPv6 addresses, prefix lengths, words. A keyword ends where its
//! letters, digits and underscores end, so `to-do` is the keyword TO and not a word.

use crate::grammar::{ParseError, excerpt, is_js_whitespace};

use super::parse::GRAMMAR;

/// The length of `\uXXXX`.
const ESCAPED_UNIT_BYTES: usize = 6;

/// A token and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) position: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Keyword(Keyword),
    /// One of `-`, `,`, `=`, `(` and `)`.
    Sign(char),
    /// A quoted string, unescaped.
    String(String),
    /// Four groups of digits, not checked further.
    Ipv4(&'a str),
    /// Lower-case hexadecimal digits and at least two colons, not checked further.
    Ipv6(&'a str),
    /// The digits after a slash.
    Prefix(&'a str),
    /// Letters, digits, `_` and `-`.
    Word(&'a str),
    End,
}

/// Declares the keywords with their upper-case spelling.
macro_rules! keywords {
    ($($keyword:ident $text:literal,)*) => {
        /// A keyword: all upper or all lower case in a rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Keyword { $($keyword,)* }

        impl Keyword {
            const ALL: &'static [Self] = &[$(Self::$keyword,)*];

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$keyword => $text,)* }
            }
        }
    };
}

keywords! {
    From "FROM", To "TO", Ip "IP", Subnet "SUBNET", Any "ANY", All "ALL", Tag "TAG", Vm "VM", Vms "VMS",
    Or "OR", And "AND", Block "BLOCK", Allow "ALLOW", Port "PORT", Ports "PORTS", Tcp "TCP", Udp "UDP",
    Icmp "ICMP", Icmp6 "ICMP6", Ah "AH", Esp "ESP", Type "TYPE", Code "CODE", Priority "PRIORITY",
}

impl Keyword {
    fn find(run: &str) -> Option<Self> {
        let matches = |keyword: &&Self| {
            let text = keyword.text();
            run == text || (run.eq_ignore_ascii_case(text) && !run.bytes().any(|b| b.is_ascii_uppercase()))
        };
        Self::ALL.iter().find(matches).copied()
    }
}

impl Kind<'_> {
    /// The token as an error message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Keyword(keyword) => format!("the keyword {}", keyword.text()),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::String(text) => format!("the string {}", excerpt(text)),
            Self::Ipv4(text) | Self::Ipv6(text) | Self::Word(text) => excerpt(text),
            Self::Prefix(digits) => format!("\"/{digits}\""),
            Self::End => "the end of the rule".to_owned(),
        }
    }
}

/// Reads one token after the other from a text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, ParseError> {
        self.take_while(is_js_whitespace);
        let position = self.position;
        let kind = self.kind()?;
        Ok(Token { kind, position })
    }

    fn kind(&mut self) -> Result<Kind<'a>, ParseError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Kind::End);
        };
        if let Some(keyword) = Keyword::find(prefix_of(rest, |c| c == '_' || c.is_ascii_alphanumeric())) {
            self.position += keyword.text().len();
            return Ok(Kind::Keyword(keyword));
        }
        if matches!(first, '-' | ',' | '=' | '(' | ')') {
            self.position += 1;
            return Ok(Kind::Sign(first));
        }
        if first == '"' {
            return self.string().map(Kind::String);
        }
        if let Some(length) = ipv4_length(rest) {
            return Ok(Kind::Ipv4(self.take(length)));
        }
        let colons_and_hex = prefix_of(rest, |c| matches!(c, ':' | '0'..='9' | 'a'..='f'));
        if colons_and_hex.bytes().filter(|b| *b == b':').nth(1).is_some() {
            return Ok(Kind::Ipv6(self.take(colons_and_hex.len())));
        }
        if let Some(after) = rest.strip_prefix('/') {
            let digits = leading_digits(after, 3);
            if !digits.is_empty() {
                self.position += 1;
                return Ok(Kind::Prefix(self.take(digits.len())));
            }
        }
        let word = self.take_while(|c| matches!(c, '-' | '_') || c.is_ascii_alphanumeric());
        if word.is_empty() {
            let message = format!("no part of a rule starts with {}", excerpt(&first.to_string()));
            return Err(self.error(message));
        }
        Ok(Kind::Word(word))
    }

    /// A quoted string; the opening quote is the next character.
    fn string(&mut self) -> Result<String, ParseError> {
        let start = self.position;
        self.position += 1;
        let mut value = String::new();
        loop {
            value.push_str(self.take_while(|c| c != '"' && c != '\\'));
            match self.rest().as_bytes() {
                [b'"', ..] => {
                    self.position += 1;
                    return Ok(value);
                }
                [b'\\', ..] => value.push(self.escape()?),
                _ => {
                    self.position = start;
                    return Err(self.error("the string has no closing quote"));
                }
            }
        }
    }

    /// An escape sequence; the backslash is the next character.
    fn escape(&mut self) -> Result<char, ParseError> {
        let c = match self.rest().as_bytes() {
            [_, b'u', ..] => return self.unicode_escape(),
            [_, c @ (b'"' | b'/' | b'(' | b')' | b'\\'), ..] => char::from(*c),
            [_, b'b', ..] => '\u{8}',
            [_, b'f', ..] => '\u{c}',
            [_, b'n', ..] => '\n',
            [_, b'r', ..] => '\r',
            [_, b't', ..] => '\t',
            _ => return Err(self.error(r#"expected one of \" \\ \/ \( \) \b \f \n \r \t \uXXXX"#)),
        };
        self.position += 2;
        Ok(c)
    }

    /// `\uXXXX`, or two of them that make a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, ParseError> {
        let rest = self.rest();
        let Some(first) = code_unit(rest) else {
            return Err(self.error(r"expected four hexadecimal digits after \u"));
        };
        let second = rest.get(ESCAPED_UNIT_BYTES..).and_then(code_unit);
        let mut decoded = char::decode_utf16([first].into_iter().chain(second));
        let Some(Ok(c)) = decoded.next() else {
            return Err(self.error("half of a surrogate pair; write the character itself or both halves"));
        };
        self.position += ESCAPED_UNIT_BYTES * c.len_utf16();
        Ok(c)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.position += taken.len();
        taken
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let length = prefix_of(self.rest(), accept).len();
        self.take(length)
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(GRAMMAR, self.position, message)
    }
}

/// The longest beginning of `text` whose characters are all accepted.
fn prefix_of(text: &str, accept: impl Fn(char) -> bool) -> &str {
    let length = text.find(|c| !accept(c)).unwrap_or(text.len());
    text.get(..length).unwrap_or_default()
}

fn leading_digits(text: &str, most: usize) -> &str {
    let digits = prefix_of(text, |c| c.is_ascii_digit());
    digits.get(..most).unwrap_or(digits)
}

/// The length of the four groups of digits that `text` starts with.
fn ipv4_length(text: &str) -> Option<usize> {
    let mut rest = text;
    for group in 0..4 {
        if group > 0 {
            rest = rest.strip_prefix('.')?;
        }
        match leading_digits(rest, 3).len() {
            0 => return None,
            length => rest = rest.get(length..)?,
        }
    }
    Some(text.len() - rest.len())
}

/// The UTF-16 code unit of the `\uXXXX` that `text` starts with.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(r"\u")?.get(..4)?;
    let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    if all_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}
