//! Reading the parameters of a request.
//!
//! CloudAPI merges path, query and body into one bag (reference 2.2), so a value may be JSON of any type, or
//! text from a query string. Operations with optional parts take that bag and read it here.

use serde_json::{Map, Value};

use super::error::WorldError;

/// The merged parameters of a request (reference 2.2).
pub type Params = Map<String, Value>;

/// The text of a parameter; numbers and booleans count as their text, an empty text as absent.
pub(super) fn text(params: &Params, name: &str) -> Option<String> {
    match params.get(name)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text of a parameter that must be there.
pub(super) fn required(params: &Params, name: &str) -> Result<String, WorldError> {
    text(params, name).ok_or_else(|| WorldError::missing_parameter(format!("{name} is a required argument")))
}

/// A boolean, also as text.
pub(super) fn boolean(params: &Params, name: &str) -> Result<Option<bool>, WorldError> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" => Ok(Some(false)),
        Some(_) => Err(WorldError::invalid_argument(format!("{name} must be set to true or false"))),
    }
}

/// Whether a parameter is `true`, also as text; anything else is false.
pub(super) fn is_true(params: &Params, name: &str) -> bool {
    matches!(boolean(params, name), Ok(Some(true)))
}

/// Whether JavaScript takes a parameter for true: every text but the empty one is, also `false`.
pub(super) fn is_truthy(params: &Params, name: &str) -> bool {
    match params.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => true,
    }
}

/// A whole number, also as text.
pub(super) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One text, or a list of texts; anything else is `None`.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
