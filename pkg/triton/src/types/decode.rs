//! Decoding whole answers: one object, or a list in which one bad element does not poison the rest.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A list answer, element by element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedList<T> {
    /// The elements that could be read, in the server's order.
    pub items: Vec<T>,
    /// The elements that could not. While there are any, an object missing from `items` may be one of
    /// them: absence proves nothing.
    pub undecodable: Vec<Undecodable>,
}

impl<T> DecodedList<T> {
    /// Whether every element could be read.
    pub fn is_clean(&self) -> bool {
        self.undecodable.is_empty()
    }

    /// How many elements the server sent, readable or not: what paging counts.
    pub fn received(&self) -> usize {
        self.items.len().saturating_add(self.undecodable.len())
    }
}

/// An element of a list that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its place in the list, from 0.
    pub index: usize,
    /// What was wrong; never the element's content, which may be secret.
    pub reason: String,
}

/// An answer could not be decoded as a whole.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The body is not JSON, is cut short, or is not the object that was asked for.
    #[error("the answer is not the JSON object that was asked for")]
    Object {
        /// Where and why reading stopped.
        source: serde_json::Error,
    },
    /// The body is something else than an array.
    #[error("the answer is not a JSON array")]
    NotAList,
    /// The body starts as an array, but is not JSON or is cut short.
    #[error("the answer is a broken JSON array")]
    List {
        /// Where and why reading stopped.
        source: serde_json::Error,
    },
}

/// Decodes one object. Bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// The body is not JSON, or an object of another kind ([`DecodeError::Object`]).
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_str(&String::from_utf8_lossy(body)).map_err(|source| DecodeError::Object { source })
}

/// Decodes a JSON array whose elements are all of one kind. Bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// The body is not a whole JSON array ([`DecodeError::NotAList`], [`DecodeError::List`]). Elements that cannot be read are no error but
/// [`DecodedList::undecodable`].
pub fn decode_list<T: DeserializeOwned>(body: &[u8]) -> Result<DecodedList<T>, DecodeError> {
    let text = String::from_utf8_lossy(body);
    if !text.trim_ascii_start().starts_with('[') {
        return Err(DecodeError::NotAList);
    }
    let elements: Vec<&RawValue> =
        serde_json::from_str(&text).map_err(|source| DecodeError::List { source })?;
    let mut list = DecodedList { items: Vec::with_capacity(elements.len()), undecodable: Vec::new() };
    for (index, element) in elements.into_iter().enumerate() {
        match serde_json::from_str(element.get()) {
            Ok(item) => list.items.push(item),
            Err(error) => list.undecodable.push(Undecodable { index, reason: error.to_string() }),
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Instance;

    const GOOD: &str = r#"{"id":"8a5918c3-84a2-4122-9ed5-60d76d7a8525","name":"web-1"}"#;

    #[test]
    fn one_bad_element_does_not_poison_a_list() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let bad: &[&str] = &[
            "null",
            "17",
            "{}",
            r#"{"id":null,"name":"web-2"}"#,
            r#"{"id":"","name":"web-2"}"#,
            r#"{"id":"not-a-uuid"}"#,
            r#"["8a5918c3-84a2-4122-9ed5-60d76d7a8525"]"#,
            &deep,
        ];
        for bad in bad {
            let list: DecodedList<Instance> =
                decode_list(format!("[{GOOD},{bad},{GOOD}]").as_bytes()).unwrap();
            assert_eq!(list.items.len(), 2, "{bad:.60}");
            assert!(!list.is_clean());
            assert_eq!(list.received(), 3);
            assert_eq!(list.undecodable[0].index, 1);
            assert_eq!(
                list.undecodable[0].reason, "not an instance: no object with a usable `id`",
                "{bad:.60}"
            );
        }
    }

    #[test]
    fn a_body_that_is_not_an_array_is_an_error() {
        for body in ["", "{}", "null", "\"[]\"", "[", "[{}", "[1,]", "[] []", "<html>", "\u{feff}[]"] {
            assert!(decode_list::<Instance>(body.as_bytes()).is_err(), "{body}");
        }
        assert!(decode_list::<Instance>(b"[]").unwrap().is_clean());
    }

    #[test]
    fn an_error_never_repeats_the_answer() {
        use std::error::Error as _;
        for body in [r#"{"password":"hunter2"}"#, r#""hunter2""#, "hunter2", r#"{"id":"hunter2"}"#] {
            let object = decode::<Instance>(body.as_bytes()).unwrap_err();
            let list = decode_list::<Instance>(body.as_bytes()).unwrap_err();
            for error in [object, list] {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                let text = format!("{error} {error:?} {cause}");
                assert!(!text.contains("hunter2"), "{text}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_spoil_only_their_text() {
        let mut body = format!("[{GOOD},").into_bytes();
        body.extend(br#"{"id":"8a5918c3-84a2-4122-9ed5-60d76d7a8526","name":"web-"#);
        body.extend([0xff, 0xfe]);
        body.extend(br#""}]"#);
        let list: DecodedList<Instance> = decode_list(&body).unwrap();
        assert!(list.is_clean());
        assert_eq!(&*list.items[1].name, "web-\u{fffd}\u{fffd}");
    }
}
