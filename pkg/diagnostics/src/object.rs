//! Which object a command line names: `KIND/NAME`, or `KIND/NAMESPACE/NAME`, as users of kubectl write them.

/// An object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The kind in full, in lower case: `service`.
    pub kind: &'static str,
    /// The namespace: `default` unless it is said; empty for what has none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A kind of object, and how it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownKind {
    /// In full, in lower case.
    pub kind: &'static str,
    /// Its other forms: the plural, and kubectl's short name.
    pub aliases: &'static [&'static str],
    /// Whether it is in a namespace.
    pub is_namespaced: bool,
}

/// A Service.
pub const SERVICE: KnownKind =
    KnownKind { kind: "service", aliases: &["services", "svc"], is_namespaced: true };
/// A Node.
pub const NODE: KnownKind = KnownKind { kind: "node", aliases: &["nodes", "no"], is_namespaced: false };
/// A pod.
pub const POD: KnownKind = KnownKind { kind: "pod", aliases: &["pods", "po"], is_namespaced: true };

/// What names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectNameError {
    /// It has not the form.
    #[error("{0:?} names no object; write {1}")]
    Malformed(String, String),
    /// There are two namespaces.
    #[error("{0:?} has a namespace, and --namespace says another; leave one out")]
    TwoNamespaces(String),
}

impl ObjectName {
    /// Reads what the command line says, where one of these kinds is meant; `namespace` is what `--namespace` says.
    ///
    /// # Errors
    ///
    /// [`ObjectNameError`]
    pub fn parse(text: &str, namespace: Option<&str>, kinds: &[KnownKind]) -> Result<Self, ObjectNameError> {
        let malformed = || {
            let forms = kinds.iter().map(|it| match it.is_namespaced {
                true => format!("{}/NAMESPACE/NAME", it.kind),
                false => format!("{}/NAME", it.kind),
            });
            ObjectNameError::Malformed(text.to_owned(), forms.collect::<Vec<_>>().join(" or "))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(malformed());
        }
        let (word, rest) = parts.split_first().ok_or_else(malformed)?;
        let lower = word.to_ascii_lowercase();
        let is_meant = |known: &&KnownKind| known.kind == lower || known.aliases.contains(&lower.as_str());
        let known = kinds.iter().find(is_meant).ok_or_else(malformed)?;
        let (within, name) = match (rest, known.is_namespaced) {
            ([name], false) => return Ok(Self::new(known.kind, "", name)),
            ([name], true) => (namespace.unwrap_or("default"), *name),
            ([within, _], true) if namespace.is_some_and(|other| other != *within) => {
                return Err(ObjectNameError::TwoNamespaces(text.to_owned()));
            }
            ([within, name], true) => (*within, *name),
            _ => return Err(malformed()),
        };
        Ok(Self::new(known.kind, within, name))
    }

    fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("service/default/web", None, "service", "default", "web")]
    #[case("svc/web", Some("prod"), "service", "prod", "web")]
    #[case("Services/web", None, "service", "default", "web")]
    #[case("service/a/web", Some("a"), "service", "a", "web")]
    #[case("node/node-1", None, "node", "", "node-1")]
    #[case("no/node-1", Some("a"), "node", "", "node-1")]
    fn objects_are_named_as_for_kubectl(
        #[case] text: &str,
        #[case] namespace: Option<&str>,
        #[case] kind: &str,
        #[case] within: &str,
        #[case] name: &str,
    ) {
        let object = ObjectName::parse(text, namespace, &[SERVICE, NODE]).unwrap();
        assert_eq!((object.kind, object.namespace.as_str(), object.name.as_str()), (kind, within, name));
    }

    #[rstest]
    #[case("web", None, "write service/NAMESPACE/NAME or node/NAME")]
    #[case("pod/web", None, "names no object")]
    #[case("node/a/b", None, "names no object")]
    #[case("service//web", None, "names no object")]
    #[case("service/a/b/c", None, "names no object")]
    #[case("service/a/b", Some("c"), "leave one out")]
    fn others_are_refused(#[case] text: &str, #[case] namespace: Option<&str>, #[case] why: &str) {
        let error = ObjectName::parse(text, namespace, &[SERVICE, NODE]).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
