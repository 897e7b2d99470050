//! The one bag of parameters of a request (reference 2.2): path, query and body, where a later source
//! overrides an earlier one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::error::ApiError;

/// How many parameters a query or a form may have: what the server's parser takes.
const MAX_PARAMETERS: usize = 1000;

/// The parameters of one request. Those of path, query and forms are strings, those of JSON are anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Adds or overrides one.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// Adds those of a query or a form, overriding those of the same names.
    pub(crate) fn merge_form(&mut self, form: &str) {
        let mut merged = Map::new();
        for pair in form.split('&').filter(|pair| !pair.is_empty()).take(MAX_PARAMETERS) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode_form(name), Value::String(decode_form(value)));
            let (name, listed) = match name.strip_suffix("[]") {
                Some(name) => (name.to_owned(), true),
                None => (name, false),
            };
            match merged.get_mut(&name) {
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
                None if listed => drop(merged.insert(name, Value::Array(vec![value]))),
                None => drop(merged.insert(name, value)),
            }
        }
        self.0.append(&mut merged);
    }

    /// Adds those of a JSON body. An empty body has none; a body that is no object is an error, as is a text
    /// that is no JSON.
    pub(crate) fn merge_json(&mut self, body: &[u8]) -> Result<(), ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(mut object)) => {
                self.0.append(&mut object);
                Ok(())
            }
            Ok(Value::Null) => Ok(()),
            Ok(_) => Err(ApiError::invalid_content("Invalid JSON: the body must be an object")),
            Err(error) => Err(ApiError::invalid_content(format!("Invalid JSON: {error}"))),
        }
    }

    /// The value as it came.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The value as text: numbers and booleans are what they look like, lists and objects are nothing.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            scalar @ (Value::Number(_) | Value::Bool(_)) => Some(Cow::Owned(scalar.to_string())),
            _ => None,
        }
    }

    /// The text, unless it is missing or empty.
    pub(crate) fn filled(&self, name: &str) -> Option<Cow<'_, str>> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// The text, or the error for a parameter that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<Cow<'_, str>, ApiError> {
        self.filled(name).ok_or_else(|| ApiError::missing_parameter(format!("{name} is a required argument")))
    }

    /// `true` or `false`, of which a query sends the words.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    /// Whether JavaScript takes the value for true.
    pub(crate) fn is_truthy(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(_) => true,
        }
    }

    /// A whole number, which a query sends in digits; `Some(Err)` when there is something else.
    pub(crate) fn integer(&self, name: &str) -> Option<Result<i64, ()>> {
        let number = match self.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        Some(number.ok_or(()))
    }

    /// All of them, as the data centre reads them.
    pub(crate) fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }
}

/// Percent-decoding of a form's name or value, where `+` is a blank; what is no UTF-8 is replaced.
fn decode_form(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// The segments of a path, decoded. Slashes in a row count as one.
pub(crate) fn path_segments(path: &str) -> Result<Vec<String>, ApiError> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .map(Cow::into_owned)
                .map_err(|_| ApiError::bad_request(format!("{path} is not valid UTF-8 when decoded")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(query: &str, body: &Value) -> Params {
        let mut params = Params::default();
        params.merge_form(query);
        params.merge_json(body.to_string().as_bytes()).expect("an object");
        params
    }

    #[test]
    fn a_later_source_overrides_an_earlier_one() {
        let mut params = Params::default();
        params.set("machine", "path");
        params.set("account", "path");
        params.merge_form("machine=query&name=query");
        params.merge_json(br#"{"name": "body"}"#).expect("an object");
        let found: Vec<_> = ["account", "machine", "name"].map(|name| params.text(name)).into();
        assert_eq!(found, [Some("path".into()), Some("query".into()), Some("body".into())]);
    }

    #[test]
    fn a_form_is_decoded_and_repeated_names_make_a_list() {
        let check = |form: &str, expected: Value| {
            let mut params = Params::default();
            params.merge_form(form);
            assert_eq!(Value::Object(params.0), expected, "{form}");
        };
        check("", json!({}));
        check("&&a&b=&c=1=2", json!({"a": "", "b": "", "c": "1=2"}));
        check(
            "tag.a%2Fb=x+y%26z&n=%E2%82%AC&bad=%FF%",
            json!({"tag.a/b": "x y&z", "n": "€", "bad": "\u{fffd}%"}),
        );
        check("n=1&n=2&n=3", json!({"n": ["1", "2", "3"]}));
        check("n[]=1&m%5B%5D=2&m[]=3", json!({"n": ["1"], "m": ["2", "3"]}));
    }

    #[test]
    fn only_objects_and_nothing_are_bodies() {
        for (body, ok) in
            [("{}", true), ("null", true), ("[]", false), ("1", false), ("{", false), ("\"", false)]
        {
            let read = Params::default().merge_json(body.as_bytes());
            assert_eq!(read.is_ok(), ok, "{body}");
            if let Err(error) = read {
                assert_eq!((error.status.as_u16(), &*error.code), (400, "InvalidContent"));
            }
        }
    }

    #[test]
    fn values_are_read_as_the_type_that_is_wanted() {
        let params =
            of("q=true&n=12&e=", &json!({"b": false, "i": 5, "f": 1.5, "o": {}, "z": 0, "null": null}));
        let flags: Vec<_> = ["q", "b", "n", "o", "-"].map(|name| params.flag(name)).into();
        assert_eq!(flags, [Some(true), Some(false), None, None, None]);
        let numbers: Vec<_> = ["n", "i", "f", "e", "-"].map(|name| params.integer(name)).into();
        assert_eq!(numbers, [Some(Ok(12)), Some(Ok(5)), Some(Err(())), Some(Err(())), None]);
        let truths: Vec<_> = ["q", "b", "e", "z", "o", "null", "-"].map(|name| params.is_truthy(name)).into();
        assert_eq!(truths, [true, false, false, false, true, false, false]);
        assert_eq!(params.text("f").as_deref(), Some("1.5"));
        assert_eq!((params.text("o"), params.text("null")), (None, None));
        assert_eq!(params.filled("e"), None);
        assert_eq!(params.required("e").map_err(|error| error.code), Err("MissingParameter".into()));
    }

    #[test]
    fn path_segments_are_decoded_one_by_one() {
        let check = |path: &str, expected: Result<&[&str], u16>| {
            let found = path_segments(path).map_err(|error| error.status.as_u16());
            assert_eq!(found, expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect()), "{path}");
        };
        check("/", Ok(&[]));
        check("//a///b/", Ok(&["a", "b"]));
        check("/a/keys/2e%3ac9", Ok(&["a", "keys", "2e:c9"]));
        check("/a/tags/x%2Fy+z", Ok(&["a", "tags", "x/y+z"]));
        check("/%FF", Err(400));
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in ".{0,64}") {
            let mut params = Params::default();
            params.merge_form(&text);
            let _ = params.merge_json(text.as_bytes());
            let _ = path_segments(&text);
        }
    }
}
