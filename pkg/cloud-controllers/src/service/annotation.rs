//! Annotations of Services: what users wish for.

use k8s_openapi::api::core::v1::Service;
use provider::names::PREFIX;

use super::Note;

/// The reason of events about an annotation that means nothing.
const INVALID_ANNOTATION: &str = "InvalidAnnotation";

/// The reason of events about a field that has no effect.
pub(crate) const UNSUPPORTED: &str = "UnsupportedField";

/// How much of a wrong value a note repeats, in characters.
const EXCERPT: usize = 80;

/// What an annotation of ours says; `name` is without the prefix.
pub(crate) fn value<'a>(service: &'a Service, name: &str) -> Option<&'a str> {
    let annotations = service.metadata.annotations.as_ref()?;
    annotations.iter().find(|(key, _)| key.strip_prefix(PREFIX) == Some(name)).map(|(_, text)| text.trim())
}

/// That an annotation says what it may not.
pub(crate) fn invalid(name: &str, text: &str, allowed: &str) -> Note {
    let text: String = text.chars().take(EXCERPT).collect();
    let message = format!("annotation {PREFIX}{name} is {text:?} and is ignored; it may be {allowed}");
    Note::warning(INVALID_ANNOTATION, message)
}
