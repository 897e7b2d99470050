//! Affinity rules: on which compute node a new instance is placed (reference 2.15).
//!
//! `KEY OP VALUE` without blanks between the three: the new instance goes to the node, or away from the
//! nodes, of the account's instances that the key and the value describe. CloudAPI takes a list of such rules
//! when an instance is created.
//!
//! ```
//! use triton::grammar::affinity::{AffinityKey, AffinityOperator, AffinityRule, AffinityValue};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = AffinityKey::Tag("role".into());
//! let value = AffinityValue::Exact("database".into());
//! let spread = AffinityRule::new(key, AffinityOperator::PreferDifferentNode, value)?;
//! assert_eq!(spread.to_string(), "role!=~database");
//! assert_eq!("inst==web-0".parse::<AffinityRule>()?.to_string(), "instance==web-0");
//! # Ok(())
//! # }
//! ```
//!
//! The regular expression of a value is not checked, as on the server, which finds out when it places the
//! instance. Placement ignores rules whose key is `image`.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::grammar::{MAX_TEXT_BYTES, ParseError, check_length, excerpt, is_js_whitespace};

const GRAMMAR: &str = "affinity rule";

/// The characters of a value, for error messages.
const VALUE_CHARACTERS: &str = r"letters, digits, blanks and -:_.*/()?+[]\^$|";

/// The keys that mean instances and not tags, the canonical one first.
///
/// Placement knows `instance` and `container`; `inst` is the former abbreviation of the `triton` command, so
/// send the canonical text and not the text that was parsed.
const INSTANCE_KEYS: [&str; 3] = ["instance", "container", "inst"];

/// An affinity rule (reference 2.15).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AffinityRule {
    key: AffinityKey,
    operator: AffinityOperator,
    value: AffinityValue,
}

/// What the value of a rule is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AffinityKey {
    /// The name or id of instances; an exact value may also be the beginning of a Docker id.
    Instance,
    /// The value of the tag with this key: two characters or more, a letter or `_`, then letters, digits and
    /// `-_.`; not `instance`, `container` or `inst`.
    Tag(String),
}

/// Where the new instance goes. If rules of both kinds are given, the server drops those that only prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AffinityOperator {
    /// `==`: to the node of a matching instance, or the creation fails, also when no instance matches.
    RequireSameNode,
    /// `!=`: to a node without a matching instance, or the creation fails.
    RequireDifferentNode,
    /// `==~`: to the node of a matching instance if that is possible.
    PreferSameNode,
    /// `!=~`: to a node without a matching instance if that is possible.
    PreferDifferentNode,
}

/// Which names or tag values match. The texts consist of letters, digits, blanks and ``-:_.*/()?+[]\^$|``.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AffinityValue {
    /// This text; without `*`, and not between two slashes.
    Exact(String),
    /// This text, where each `*`, at least one, stands for any characters; not between two slashes.
    Glob(String),
    /// Whatever contains a match of this regular expression, given here without the slashes around it.
    Regex(String),
}

/// Why a rule made from values would be refused by the server, or would mean something else there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAffinity {
    /// The tag cannot be used in a rule.
    #[error(
        "tag {} cannot be used in an affinity rule; a key is a letter or _, then at least one letter, digit \
         or one of -_.",
        excerpt(.key)
    )]
    Key {
        /// The key of the tag.
        key: String,
    },
    /// The tag has a name that means instances.
    #[error("tag {key} cannot be used in an affinity rule, where the key stands for instance names")]
    InstanceKey {
        /// The key of the tag.
        key: String,
    },
    /// The value is empty or has a character that is not allowed.
    #[error("{} cannot be used in an affinity rule; allowed are {VALUE_CHARACTERS}", excerpt(.value))]
    Value {
        /// The value as it would be in the rule.
        value: String,
    },
    /// The text would be read as another kind of value.
    #[error("{} is not {kind}; the server decides by a `*` and by slashes at both ends", excerpt(.value))]
    ValueKind {
        /// The value as it would be in the rule.
        value: String,
        /// What it was meant to be.
        kind: &'static str,
    },
    /// The rule would be longer than [`MAX_TEXT_BYTES`].
    #[error("the rule needs {length} bytes of text, at most {MAX_TEXT_BYTES} are allowed")]
    TooLong {
        /// The length of the rule in bytes.
        length: usize,
    },
}

impl AffinityRule {
    /// A rule of these parts.
    ///
    /// # Errors
    ///
    /// [`InvalidAffinity`] when the server would refuse the rule or read its parts differently.
    pub fn new(
        key: AffinityKey,
        operator: AffinityOperator,
        value: AffinityValue,
    ) -> Result<Self, InvalidAffinity> {
        if let AffinityKey::Tag(key) = &key {
            if !is_key(key) {
                return Err(InvalidAffinity::Key { key: key.clone() });
            }
            if INSTANCE_KEYS.contains(&key.as_str()) {
                return Err(InvalidAffinity::InstanceKey { key: key.clone() });
            }
        }
        let text = value.to_string();
        if !is_value(&text) {
            return Err(InvalidAffinity::Value { value: text });
        }
        if AffinityValue::read(&text) != value {
            return Err(InvalidAffinity::ValueKind { value: text, kind: value.kind() });
        }
        let length = key.text().len() + operator.text().len() + text.len();
        if length > MAX_TEXT_BYTES {
            return Err(InvalidAffinity::TooLong { length });
        }
        Ok(Self { key, operator, value })
    }

    /// What is compared.
    pub fn key(&self) -> &AffinityKey {
        &self.key
    }

    /// Where the new instance goes.
    pub fn operator(&self) -> AffinityOperator {
        self.operator
    }

    /// What it is compared with.
    pub fn value(&self) -> &AffinityValue {
        &self.value
    }
}

impl FromStr for AffinityRule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        check_length(GRAMMAR, text)?;
        let error = |position, message| Err(ParseError::new(GRAMMAR, position, message));
        // Neither key nor value can contain these characters, so the operator is where the first one is.
        let position = text.find(['=', '!']).unwrap_or(text.len());
        let (key, rest) = text.split_at(position);
        if !is_key(key) {
            let message =
                format!("{} is not a key: a letter or _, then letters, digits or -_.", excerpt(key));
            return error(0, message);
        }
        let longest_first = [
            AffinityOperator::PreferSameNode,
            AffinityOperator::PreferDifferentNode,
            AffinityOperator::RequireSameNode,
            AffinityOperator::RequireDifferentNode,
        ];
        let read_operator =
            |operator: AffinityOperator| rest.strip_prefix(operator.text()).map(|value| (operator, value));
        let Some((operator, value)) = longest_first.into_iter().find_map(read_operator) else {
            return error(position, format!("expected ==, !=, ==~ or !=~, found {}", excerpt(rest)));
        };
        if !is_value(value) {
            let message = format!("{} is not a value, which is made of {VALUE_CHARACTERS}", excerpt(value));
            return error(text.len() - value.len(), message);
        }
        Ok(Self { key: AffinityKey::read(key), operator, value: AffinityValue::read(value) })
    }
}

impl AffinityKey {
    fn read(text: &str) -> Self {
        if INSTANCE_KEYS.contains(&text) { Self::Instance } else { Self::Tag(text.to_owned()) }
    }

    fn text(&self) -> &str {
        match self {
            Self::Instance => INSTANCE_KEYS[0],
            Self::Tag(key) => key,
        }
    }
}

impl AffinityOperator {
    fn text(self) -> &'static str {
        match self {
            Self::RequireSameNode => "==",
            Self::RequireDifferentNode => "!=",
            Self::PreferSameNode => "==~",
            Self::PreferDifferentNode => "!=~",
        }
    }
}

impl AffinityValue {
    fn read(text: &str) -> Self {
        let pattern = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        match pattern {
            Some(pattern) if !pattern.is_empty() => Self::Regex(pattern.to_owned()),
            _ if text.contains('*') => Self::Glob(text.to_owned()),
            _ => Self::Exact(text.to_owned()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Exact(_) => "an exact value",
            Self::Glob(_) => "a glob",
            Self::Regex(_) => "a regular expression",
        }
    }
}

fn is_key(text: &str) -> bool {
    let is_later = |b: u8| matches!(b, b'-' | b'_' | b'.') || b.is_ascii_alphanumeric();
    match text.as_bytes() {
        [first, later @ ..] if !later.is_empty() => {
            (*first == b'_' || first.is_ascii_alphabetic()) && later.iter().copied().all(is_later)
        }
        _ => false,
    }
}

fn is_value(text: &str) -> bool {
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || r"-:_.*/()?+[]\^$|".contains(c) || is_js_whitespace(c);
    !text.is_empty() && text.chars().all(is_allowed)
}

impl Display for AffinityRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.key, self.operator, self.value)
    }
}

impl Display for AffinityKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Display for AffinityOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Display for AffinityValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::Glob(text) => f.write_str(text),
            Self::Regex(pattern) => write!(f, "/{pattern}/"),
        }
    }
}
