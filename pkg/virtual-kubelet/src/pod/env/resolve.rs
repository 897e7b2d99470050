//! From a pod and its sources to its variables.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, Pod};

use super::expand::{Expanded, Lookup, expand};
use super::fields::{Field, field, resource};
use super::services;
use super::{Environment, Known, Outcome, Reference, ReferenceKind, Resolved, Sources, Waiting};
use crate::pod::{Refusal, RefusalReason, Warning};

/// The names of the variables that a ConfigMap or Secret has and that no variable can have.
const INVALID_NAMES: &str = "InvalidEnvironmentVariableNames";

/// The environment of a pod's container.
pub fn resolve(pod: &Pod, sources: &Sources, known: &Known) -> Resolved {
    let mut warnings = Vec::new();
    let outcome = match environment(pod, sources, known, &mut warnings) {
        Ok(environment) => Outcome::Complete(environment),
        Err(Stop::Waiting(waiting)) => {
            // What is said about half an environment may not be true of the whole.
            warnings.clear();
            Outcome::Waiting(waiting)
        }
        Err(Stop::Refused(refusal)) => Outcome::Refused(refusal),
    };
    Resolved { outcome, warnings }
}

/// Why there is no environment.
enum Stop {
    Waiting(Waiting),
    Refused(Refusal),
}

fn environment(
    pod: &Pod,
    sources: &Sources,
    known: &Known,
    warnings: &mut Vec<Warning>,
) -> Result<Environment, Stop> {
    let spec = pod.spec.as_ref();
    let Some(container) = spec.and_then(|spec| spec.containers.first()) else {
        return Ok(Environment::default());
    };
    let Some(all) = &sources.services else {
        return Err(Stop::Waiting(Waiting::Services));
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = spec.and_then(|spec| spec.enable_service_links).unwrap_or(true);
    let services = services::variables(all.iter().map(|service| &**service), namespace, links);
    let mut reader =
        Reader { pod, sources, known, warnings, own: BTreeMap::new(), deferred: BTreeSet::new() };
    reader.read(container, &services)?;
    let (own, deferred) = (reader.own, reader.deferred);
    let is_unset = |name: &String| !own.contains_key(name) && !deferred.contains(name);
    let services = services.into_iter().filter(|(name, _)| is_unset(name)).collect();
    Ok(Environment { own, services, deferred })
}

struct Reader<'a> {
    pod: &'a Pod,
    sources: &'a Sources,
    known: &'a Known,
    warnings: &'a mut Vec<Warning>,
    own: BTreeMap<String, Box<str>>,
    deferred: BTreeSet<String>,
}

/// The data of a ConfigMap or a Secret.
type Data = BTreeMap<String, Vec<u8>>;

impl Reader<'_> {
    fn read(&mut self, container: &Container, services: &BTreeMap<String, Box<str>>) -> Result<(), Stop> {
        for (index, from) in container.env_from.iter().flatten().enumerate() {
            self.read_all(from, &format!("spec.containers[0].envFrom[{index}]"))?;
        }
        for (index, variable) in container.env.iter().flatten().enumerate() {
            let field = format!("spec.containers[0].env[{index}]");
            let Some(value) = self.value(variable, &field, services)? else {
                continue;
            };
            // A later variable replaces an earlier one of its name, whichever of them is known.
            match value {
                Expanded::Text(text) => {
                    self.deferred.remove(&variable.name);
                    self.own.insert(variable.name.clone(), text.into_boxed_str());
                }
                Expanded::Deferred => {
                    self.own.remove(&variable.name);
                    self.deferred.insert(variable.name.clone());
                }
            }
        }
        Ok(())
    }

    /// All keys of a source, each as a variable.
    fn read_all(&mut self, from: &EnvFromSource, field: &str) -> Result<(), Stop> {
        let config_map =
            from.config_map_ref.as_ref().map(|it| (Reference::config_map(&it.name), it.optional));
        let secret = from.secret_ref.as_ref().map(|it| (Reference::secret(&it.name), it.optional));
        let Some((reference, optional)) = config_map.or(secret) else {
            return Ok(());
        };
        let Some(data) = self.data(&reference, optional == Some(true), field)? else {
            return Ok(());
        };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let mut invalid = Vec::new();
        for (key, value) in data {
            let name = format!("{prefix}{key}");
            if is_name(&name) {
                let value = text(value, &reference, &key, field)?;
                self.own.insert(name, value.into_boxed_str());
            } else {
                invalid.push(name);
            }
        }
        if !invalid.is_empty() {
            let message = format!(
                "keys {} of {reference} were skipped: they cannot name variables",
                invalid.join(", ")
            );
            self.warnings.push(Warning::new(INVALID_NAMES, message));
        }
        Ok(())
    }

    /// The value of a variable; `None` when it is optional and not there.
    fn value(
        &mut self,
        variable: &EnvVar,
        field_name: &str,
        services: &BTreeMap<String, Box<str>>,
    ) -> Result<Option<Expanded>, Stop> {
        let name = &variable.name;
        if let Some(value) = variable.value.as_deref().filter(|value| !value.is_empty()) {
            let lookup = |name: &str| match (self.own.get(name), self.deferred.contains(name)) {
                (Some(value), _) => Lookup::Value(value),
                (None, true) => Lookup::Deferred,
                (None, false) => services.get(name).map_or(Lookup::Unknown, |value| Lookup::Value(value)),
            };
            return Ok(Some(expand(value, lookup)));
        }
        let Some(source) = &variable.value_from else {
            return Ok(Some(Expanded::Text(String::new())));
        };
        let invalid = |part: &str, message: String| {
            let field = format!("{field_name}.valueFrom.{part}");
            Stop::Refused(Refusal { field, reason: RefusalReason::Invalid, message })
        };
        if let Some(selector) = &source.field_ref {
            let found = field(self.pod, self.known, &selector.field_path);
            return match found.map_err(|message| invalid("fieldRef", message))? {
                Field::Value(value) => Ok(Some(Expanded::Text(value))),
                Field::Deferred => Ok(Some(Expanded::Deferred)),
            };
        }
        if let Some(selector) = &source.resource_field_ref {
            let value = resource(self.pod, self.known, selector);
            return Ok(Some(Expanded::Text(value.map_err(|message| invalid("resourceFieldRef", message))?)));
        }
        let config_map = source.config_map_key_ref.as_ref();
        let config_map = config_map.map(|it| (Reference::config_map(&it.name), &it.key, it.optional));
        let secret = source.secret_key_ref.as_ref();
        let secret = secret.map(|it| (Reference::secret(&it.name), &it.key, it.optional));
        let Some((reference, key, optional)) = config_map.or(secret) else {
            let message = format!("variable {name} has a source of a kind that is not supported here");
            let field = format!("{field_name}.valueFrom");
            return Err(Stop::Refused(Refusal { field, reason: RefusalReason::Invalid, message }));
        };
        let optional = optional == Some(true);
        let Some(mut data) = self.data(&reference, optional, field_name)? else {
            return Ok(None);
        };
        match data.remove(key) {
            Some(value) => Ok(Some(Expanded::Text(text(value, &reference, key, field_name)?))),
            None => {
                let message = format!("{reference} has no key {key}, which variable {name} needs");
                self.missing(&reference, "Key", optional, field_name, message).map(|()| None)
            }
        }
    }

    /// The data of a source; `None` when it is optional and not there.
    fn data(&mut self, reference: &Reference, optional: bool, field: &str) -> Result<Option<Data>, Stop> {
        let data = match reference.kind {
            ReferenceKind::ConfigMap => self.sources.config_map(&reference.name).read(|config_map| {
                let data = config_map.data.iter().flatten();
                data.map(|(key, value)| (key.clone(), value.clone().into_bytes())).collect()
            }),
            ReferenceKind::Secret => self.sources.secret(&reference.name).read(|secret| {
                let data = secret.data.iter().flatten();
                data.map(|(key, value)| (key.clone(), value.0.clone())).collect()
            }),
        };
        match data {
            Some(Some(data)) => Ok(Some(data)),
            None => Err(Stop::Waiting(Waiting::Reference(reference.clone()))),
            Some(None) => {
                let message = format!("there is no {reference}");
                self.missing(reference, "", optional, field, message).map(|()| None)
            }
        }
    }

    /// Tells that a source or a key is missing, by the name of the event; refuses when it must be there.
    fn missing(
        &mut self,
        reference: &Reference,
        part: &str,
        optional: bool,
        field: &str,
        message: String,
    ) -> Result<(), Stop> {
        let reason = match (optional, reference.kind, part) {
            (true, ReferenceKind::ConfigMap, "") => "OptionalConfigMapNotFound",
            (true, ReferenceKind::ConfigMap, _) => "OptionalConfigMapKeyNotFound",
            (true, ReferenceKind::Secret, "") => "OptionalSecretNotFound",
            (true, ReferenceKind::Secret, _) => "OptionalSecretKeyNotFound",
            (false, ReferenceKind::ConfigMap, "") => "MandatoryConfigMapNotFound",
            (false, ReferenceKind::ConfigMap, _) => "MandatoryConfigMapKeyNotFound",
            (false, ReferenceKind::Secret, "") => "MandatorySecretNotFound",
            (false, ReferenceKind::Secret, _) => "MandatorySecretKeyNotFound",
        };
        self.warnings.push(Warning::new(reason, format!("{field}: {message}")));
        if optional {
            return Ok(());
        }
        let message = format!("{message}; add it, or mark the reference optional");
        Err(Stop::Refused(Refusal { field: field.to_owned(), reason: RefusalReason::Config, message }))
    }
}

/// A value as the text that metadata can carry.
fn text(value: Vec<u8>, reference: &Reference, key: &str, field: &str) -> Result<String, Stop> {
    String::from_utf8(value).map_err(|_| {
        let message = format!("key {key} of {reference} is no UTF-8 text, which metadata needs; encode it");
        Stop::Refused(Refusal { field: field.to_owned(), reason: RefusalReason::Config, message })
    })
}

/// Whether Kubernetes takes it for the name of a variable.
fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '.' | '_');
    let is_later = |c: char| is_first(c) || c.is_ascii_digit();
    name.starts_with(is_first) && name.chars().all(is_later) && name != "." && !name.starts_with("..")
}
