//! Query strings as pairs, for the transport to encode.

use std::fmt::Display;

/// Collects the pairs of a query string.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Adds `name` if there is a value for it.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.0.push((name.to_owned(), value.to_string()));
        }
        self
    }

    /// The pairs, in the order in which they were added.
    pub(crate) fn pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

#[cfg(test)]
mod tests;
