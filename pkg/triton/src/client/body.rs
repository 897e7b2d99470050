//! Request bodies that may grow too large.

use serde::Serialize;

use super::Call;
use crate::error::{Error, Kind};
use crate::types::MAX_BODY_BYTES;

impl Call {
    /// Sets a JSON body, and refuses one that the server would not take: its 413 does not say why.
    pub(super) fn limited_json(self, body: &impl Serialize) -> Result<Self, Error> {
        let call = self.json(body)?;
        let bytes = call.body.as_ref().map_or(0, bytes::Bytes::len);
        if bytes <= MAX_BODY_BYTES {
            return Ok(call);
        }
        let message = format!(
            "the request is {bytes} bytes long and CloudAPI takes at most {MAX_BODY_BYTES}; send less metadata or tags"
        );
        Err(call.error(Kind::Invalid, message).never_sent())
    }

    /// Refuses names that the server would take for parameters of the request instead of `what` they are.
    pub(super) fn without_reserved<'a>(
        self,
        what: &str,
        names: impl IntoIterator<Item = &'a str>,
        is_reserved: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        match names.into_iter().find(|name| is_reserved(name)) {
            None => Ok(self),
            Some(name) => {
                let message = format!("{name:?} cannot be the name of {what}: the server reserves it");
                Err(self.error(Kind::Invalid, message).never_sent())
            }
        }
    }
}
