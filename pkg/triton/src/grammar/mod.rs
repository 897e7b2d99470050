//! The four small languages that Triton hides in strings.
//!
//! CloudAPI takes and returns these as plain text, and answers a mistake with an error only when the request
//! is already made. Here each is a type that cannot hold a value the server would refuse:
//!
//! | module | text | where it is used | facts |
//! |---|---|---|---|
//! | [`firewall`] | `FROM any TO tag "role" = "web" ALLOW tcp PORT 80` | firewall rules | reference 2.21 |
//! | [`cns`] | `web:8080,metrics:9100` | tag `triton.cns.services` | reference 3.3 |
//! | [`affinity`] | `role!=~database` | `affinity` of an instance to create | reference 2.15 |
//! | [`cmon_groups`] | `api,production` | tag `triton.cmon.groups` | reference 4.3 |
//!
//! All four have the same shape. `FromStr` accepts what the server accepts (each module says where it is
//! stricter, and why) and fails with a [`ParseError`]. `Display` prints the canonical text, and parsing that
//! text gives an equal value again. Values made without a text go through constructors that check the same
//! rules. Compare parsed values, never texts: the server rewrites firewall rules, so the text read back is
//! seldom the text that was sent.
//!
//! Parsing takes time near linear in the length of the text, never recurses, and never panics; a text longer
//! than [`MAX_TEXT_BYTES`] is refused unread.

pub mod affinity;
pub mod cmon_groups;
pub mod cns;
pub mod firewall;

/// The longest text, in bytes, that any of the grammars reads or makes.
///
/// The bound is ours, the server documents none for these texts. Some 100 KB are the most that a whole
/// request can carry (reference 2.18).
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// How much of a text an error message quotes, in characters.
const EXCERPT_CHARS: usize = 40;

/// Why a text is not a sentence of its grammar: one line that names the grammar, the place and the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {grammar} at byte {position}: {message}")]
pub struct ParseError {
    grammar: &'static str,
    position: usize,
    message: String,
}

impl ParseError {
    fn new(grammar: &'static str, position: usize, message: impl Into<String>) -> Self {
        Self { grammar, position, message: message.into() }
    }

    /// What the text should have been: `firewall rule`, `triton.cns.services`, `affinity rule` or
    /// `triton.cmon.groups`.
    pub fn grammar(&self) -> &'static str {
        self.grammar
    }

    /// Where the fault was noticed, in bytes from the start of the text. Always a character boundary, and at
    /// most the length of the text.
    pub fn position(&self) -> usize {
        self.position
    }

    /// What is wrong there, without the grammar and the position.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Refuses a text over [`MAX_TEXT_BYTES`].
fn check_length(grammar: &'static str, text: &str) -> Result<(), ParseError> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    let message = format!("the text has {} bytes, at most {MAX_TEXT_BYTES} are read", text.len());
    Err(ParseError::new(grammar, 0, message))
}

/// The beginning of `text`, quoted and escaped so that it stays on one line of an error message.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Whether `c` matches `\s` in the regular expressions of the server, which is written in JavaScript.
fn is_js_whitespace(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_the_place_and_the_fault() {
        let error = ParseError::new("affinity rule", 3, format!("found {}", excerpt("a\nb")));
        assert_eq!(error.to_string(), r#"invalid affinity rule at byte 3: found "a\nb""#);
        assert_eq!((error.grammar(), error.position()), ("affinity rule", 3));
        assert_eq!(error.message(), r#"found "a\nb""#);
    }

    #[test]
    fn an_excerpt_of_a_long_text_is_cut_between_characters() {
        let long = "\u{1f980}".repeat(1000);
        assert_eq!(excerpt(&long), format!("\"{}\"...", "\u{1f980}".repeat(EXCERPT_CHARS)));
    }

    #[test]
    fn a_text_over_the_limit_is_refused_by_every_grammar() {
        let long = "a".repeat(MAX_TEXT_BYTES + 1);
        let errors = [
            long.parse::<firewall::FirewallRule>().map(|_| ()).unwrap_err(),
            long.parse::<cns::CnsServices>().map(|_| ()).unwrap_err(),
            long.parse::<affinity::AffinityRule>().map(|_| ()).unwrap_err(),
            long.parse::<cmon_groups::CmonGroups>().map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            assert!(error.message().contains("at most 65536"), "{error}");
        }
    }

    #[test]
    fn whitespace_is_what_javascript_says_it_is() {
        for c in ['\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{a0}', '\u{2028}', '\u{3000}', '\u{feff}'] {
            assert!(is_js_whitespace(c), "{c:?}");
        }
        for c in ['\u{85}', '\u{180e}', '\u{200b}', '\u{0}', 'x'] {
            assert!(!is_js_whitespace(c), "{c:?}");
        }
    }
}
