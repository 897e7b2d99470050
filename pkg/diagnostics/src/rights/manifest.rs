//! The rights that a manifest gives. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Right;

/// A manifest with roles and their bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// Where people find it.
    pub path: &'static str,
    /// Its YAML.
    pub text: &'static str,
}

/// A manifest that does not say what a program may do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("{path} cannot be read: {why}")]
    Yaml {
        /// Which.
        path: &'static str,
        /// What is wrong.
        why: String,
    },
    /// It binds a role that is neither in it nor known here.
    #[error("{path} binds {kind} {name}, whose rights are not known")]
    Unknown {
        /// Which.
        path: &'static str,
        /// `Role` or `ClusterRole`.
        kind: String,
        /// Its name.
        name: String,
    },
}

/// What matters of an object of a manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    rules: Vec<Rule>,
    role_ref: Option<RoleRef>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct RoleRef {
    kind: String,
    name: String,
}

/// Kind, namespace, name.
type RoleKey = (String, Option<String>, String);

impl Manifest {
    /// The rights of those to whom its roles are bound.
    ///
    /// # Errors
    ///
    /// [`ManifestError`]
    pub fn rights(&self) -> Result<Vec<Right>, ManifestError> {
        let path = self.path;
        let objects: Vec<Object> = serde_saphyr::from_multiple(self.text)
            .map_err(|error| ManifestError::Yaml { path, why: error.to_string() })?;
        let mut roles: BTreeMap<RoleKey, Vec<Rule>> = built_in();
        let mut bindings = Vec::new();
        for object in objects {
            let Metadata { name, namespace } = object.metadata;
            match object.role_ref {
                Some(role) => bindings.push((role, namespace)),
                None => drop(roles.insert((object.kind, namespace, name), object.rules)),
            }
        }
        let mut rights = Vec::new();
        for (RoleRef { kind, name }, namespace) in bindings {
            // A cluster role is in no namespace; its binding may be in one.
            let of = namespace.clone().filter(|_| kind == "Role");
            let rules = roles.get(&(kind.clone(), of, name.clone()));
            let rules = rules.ok_or(ManifestError::Unknown { path, kind, name })?;
            rights.extend(rules.iter().flat_map(|rule| rule.rights(namespace.as_deref())));
        }
        Ok(rights)
    }
}

impl Rule {
    fn rights(&self, namespace: Option<&str>) -> Vec<Right> {
        let names: Vec<Option<&String>> = match self.resource_names.is_empty() {
            true => vec![None],
            false => self.resource_names.iter().map(Some).collect(),
        };
        let mut rights = Vec::new();
        for (group, resource) in
            self.api_groups.iter().flat_map(|group| self.resources.iter().map(move |it| (group, it)))
        {
            let (resource, subresource) = match resource.split_once('/') {
                Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
                None => (resource.as_str(), None),
            };
            for (name, verb) in names.iter().flat_map(|name| self.verbs.iter().map(move |it| (*name, it))) {
                rights.push(Right {
                    namespace: namespace.map(str::to_owned),
                    group: group.clone(),
                    resource: resource.to_owned(),
                    subresource: subresource.clone(),
                    name: name.cloned(),
                    verb: verb.clone(),
                });
            }
        }
        rights
    }
}

/// The roles that every cluster has and that servers of others' requests are bound to.
fn built_in() -> BTreeMap<RoleKey, Vec<Rule>> {
    let rule = |group: &str, resource: &str, name: Option<&str>, verbs: &[&str]| Rule {
        api_groups: vec![group.to_owned()],
        resources: vec![resource.to_owned()],
        resource_names: name.into_iter().map(str::to_owned).collect(),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
    };
    let delegator = vec![
        rule("authentication.k8s.io", "tokenreviews", None, &["create"]),
        rule("authorization.k8s.io", "subjectaccessreviews", None, &["create"]),
    ];
    let reader = "extension-apiserver-authentication";
    let reader = vec![rule("", "configmaps", Some(reader), &["get", "list", "watch"])];
    let key = |kind: &str, namespace: Option<&str>, name: &str| {
        (kind.to_owned(), namespace.map(str::to_owned), name.to_owned())
    };
    BTreeMap::from([
        (key("ClusterRole", None, "system:auth-delegator"), delegator),
        (key("Role", Some("kube-system"), "extension-apiserver-authentication-reader"), reader),
    ])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn rights(text: &'static str) -> Result<Vec<String>, ManifestError> {
        let rights = Manifest { path: "rbac.yaml", text }.rights()?;
        Ok(rights.iter().map(ToString::to_string).collect())
    }

    const ROLE: &str = "
kind: Role
metadata: {name: a, namespace: n}
rules:
  - {apiGroups: [''], resources: [secrets], resourceNames: [x, y], verbs: [get]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, patch]}
---
kind: ClusterRole
metadata: {name: a}
rules: [{apiGroups: [''], resources: [nodes, nodes/status], verbs: [patch]}]
---
kind: ClusterRole
metadata: {name: unbound}
rules: [{apiGroups: [''], resources: [pods], verbs: [delete]}]
---
kind: RoleBinding
metadata: {name: b, namespace: n}
roleRef: {kind: Role, name: a}
subjects: [{kind: ServiceAccount, name: s, namespace: n}]
---
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {kind: ClusterRole, name: a}
---
kind: ClusterRoleBinding
metadata: {name: c}
roleRef: {kind: ClusterRole, name: 'system:auth-delegator'}
";

    #[test]
    fn the_rights_are_those_of_the_roles_that_are_bound() {
        assert_eq!(
            rights(ROLE).unwrap(),
            [
                "get secrets \"x\" in n",
                "get secrets \"y\" in n",
                "create leases.coordination.k8s.io in n",
                "patch leases.coordination.k8s.io in n",
                "patch nodes",
                "patch nodes/status",
                "create tokenreviews.authentication.k8s.io",
                "create subjectaccessreviews.authorization.k8s.io",
            ]
        );
    }

    #[rstest]
    #[case("kind: [", "cannot be read")]
    #[case(
        "kind: RoleBinding\nmetadata: {name: a, namespace: n}\nroleRef: {kind: Role, name: gone}",
        "binds Role gone"
    )]
    fn what_gives_no_rights_is_said(#[case] text: &'static str, #[case] why: &str) {
        let error = rights(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn rights_follow_the_names_of_flags() {
        let right = Manifest { path: "", text: ROLE }.rights().unwrap().remove(0);
        let changed = right.renamed("x", "z").renamed("y", "no").moved("m");
        assert_eq!(changed.to_string(), "get secrets \"z\" in m");
        assert!(changed.concerns("secrets") && !changed.concerns("leases"));
    }
}
