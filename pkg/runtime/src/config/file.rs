//! A TOML file as a flat list of keys and values, each with its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};

/// One setting of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As written, parents joined with dots: `log.level`.
    pub(super) key: String,
    /// The flag it means, parents joined with dashes: `log-level`.
    pub(super) flag: String,
    /// The values as a command line would have them; several for an array.
    pub(super) values: Vec<String>,
    /// Whether it was written as an array.
    pub(super) array: bool,
    pub(super) place: Place,
}

/// Reads TOML. `file` is only named in errors.
pub(super) fn entries(file: &Path, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(file, text, error.span().map_or(0, |span| span.start)),
        message: error.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    let mut found = Vec::new();
    collect(&Source { file, text }, "", document.get_ref(), &mut found)?;
    Ok(found)
}

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

fn place(file: &Path, text: &str, offset: usize) -> Place {
    let before = text.as_bytes().iter().take(offset);
    Place { file: file.to_owned(), line: before.filter(|byte| **byte == b'\n').count() + 1 }
}

fn collect(
    source: &Source<'_>,
    parents: &str,
    table: &DeTable<'_>,
    found: &mut Vec<Entry>,
) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = if parents.is_empty() { name.get_ref().to_string() } else { format!("{parents}.{name}") };
        let place = place(source.file, source.text, name.span().start);
        let (values, array) = match value.get_ref() {
            DeValue::Table(table) => {
                collect(source, &key, table, found)?;
                continue;
            }
            DeValue::Array(items) => (items.iter().map(scalar).collect::<Option<Vec<_>>>(), true),
            _ => (scalar(value).map(|value| vec![value]), false),
        };
        let Some(values) = values else {
            let message = "arrays hold plain values only".to_owned();
            return Err(ConfigError::Value { place, key, message });
        };
        found.push(Entry { flag: key.replace(['.', '_'], "-"), key, values, array, place });
    }
    Ok(())
}

/// A plain value as a command line would have it.
fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
