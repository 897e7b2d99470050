//! The CNS service that a Service of Kubernetes is.

use k8s_openapi::api::core::v1::Service;
use triton::grammar::cns::MAX_NAME_LENGTH;

use super::exposure::annotated;
use crate::digest;
use crate::names::{DEFAULT_CLUSTER, PREFIX, annotation};

/// Why a Service has no name in CNS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceName {
    /// The annotation is no DNS label.
    #[error(
        "annotation {PREFIX}{} is {name:?}, which cannot name a CNS service; use at most {MAX_NAME_LENGTH} letters, \
         digits and inner hyphens",
        annotation::CNS_SERVICE
    )]
    Annotation {
        /// What it says.
        name: Box<str>,
    },
    /// The object lacks a name or namespace: it does not come from an API server.
    #[error("the Service has no name or no namespace")]
    Nameless,
}

/// `<service>-<namespace>`, and `-<cluster>` unless the cluster has the default name. What is no DNS label so, or is
/// too long for one, is cut and ends in a digest of the three.
///
/// Service `a-b` of namespace `c` and Service `a` of namespace `b-c` have the same name; the
/// [`Directory`](super::Directory) gives it to the older one.
pub fn service_name(service: &str, namespace: &str, cluster: &str) -> String {
    let plain = match cluster {
        DEFAULT_CLUSTER => format!("{service}-{namespace}"),
        _ => format!("{service}-{namespace}-{cluster}"),
    };
    if digest::label(&plain, MAX_NAME_LENGTH) == plain {
        return plain;
    }
    let digest = digest::short([service, namespace, cluster]);
    let readable = digest::label(&plain, MAX_NAME_LENGTH - digest.len() - 1);
    if readable.is_empty() { format!("svc-{digest}") } else { format!("{readable}-{digest}") }
}

/// The name of a Service: what its annotation `tritondatacenter.com/cns-service` says, else [`service_name`].
///
/// # Errors
///
/// [`InvalidServiceName`]; the Service is then in no CNS service at all, rather than in one that nobody asked for.
pub fn name_of(service: &Service, cluster: &str) -> Result<String, InvalidServiceName> {
    let metadata = &service.metadata;
    if let Some(name) = annotated(service) {
        let lower = name.to_ascii_lowercase();
        let valid = !lower.is_empty() && digest::label(&lower, MAX_NAME_LENGTH) == lower;
        return if valid { Ok(lower) } else { Err(InvalidServiceName::Annotation { name: excerpt(name) }) };
    }
    match (&metadata.name, &metadata.namespace) {
        (Some(name), Some(namespace)) => Ok(service_name(name, namespace, cluster)),
        _ => Err(InvalidServiceName::Nameless),
    }
}

/// How much of a wrong name an error repeats, in characters.
const EXCERPT: usize = 80;

fn excerpt(text: &str) -> Box<str> {
    text.chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;
    use triton::grammar::cns::CnsService;

    use super::*;

    #[rstest]
    #[case::the_default_cluster("web", "default", "kubernetes", "web-default")]
    #[case::another_cluster("web", "default", "prod", "web-default-prod")]
    #[case::a_cluster_that_is_no_label("web", "default", "Prod_1", "web-default-prod-1-de5993c742")]
    fn a_service_is_named_after_itself(
        #[case] service: &str,
        #[case] namespace: &str,
        #[case] cluster: &str,
        #[case] name: &str,
    ) {
        assert_eq!(service_name(service, namespace, cluster), name);
    }

    #[test]
    fn a_long_name_is_cut_but_stays_its_own() {
        let (service, namespace) = ("s".repeat(63), "n".repeat(63));
        let name = service_name(&service, &namespace, "kubernetes");
        assert_eq!(name.len(), 63);
        assert!(name.starts_with("sss"), "{name}");
        assert_ne!(name, service_name(&service, &namespace, "prod"));
        let exact = service_name(&"s".repeat(31), &"n".repeat(31), "kubernetes");
        assert_eq!(exact, format!("{}-{}", "s".repeat(31), "n".repeat(31)), "63 characters fit");
    }

    fn annotated(name: &str) -> Service {
        serde_json::from_value(json!({"metadata": {
            "name": "web", "namespace": "default", "annotations": {"tritondatacenter.com/cns-service": name},
        }}))
        .unwrap()
    }

    #[rstest]
    #[case("shop", "shop")]
    #[case(" Shop-1 ", "shop-1")]
    #[case("1shop", "1shop")]
    fn an_annotation_overrides_the_name(#[case] annotation: &str, #[case] name: &str) {
        assert_eq!(name_of(&annotated(annotation), "kubernetes").as_deref(), Ok(name));
    }

    #[rstest]
    #[case("")]
    #[case("a.b")]
    #[case("a,b")]
    #[case("a:80")]
    #[case("-a")]
    #[case("_ldap._tcp")]
    #[case("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    fn an_annotation_that_is_no_label_is_refused(#[case] annotation: &str) {
        let error = name_of(&annotated(annotation), "kubernetes").unwrap_err();
        assert_eq!(error, InvalidServiceName::Annotation { name: annotation.into() });
        assert!(error.to_string().contains("tritondatacenter.com/cns-service"), "{error}");
    }

    #[test]
    fn without_the_annotation_the_name_is_made() {
        let mut service = annotated("x");
        service.metadata.annotations = None;
        assert_eq!(name_of(&service, "kubernetes").as_deref(), Ok("web-default"));
        service.metadata.namespace = None;
        assert_eq!(name_of(&service, "kubernetes"), Err(InvalidServiceName::Nameless));
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_cns_takes(service: String, namespace: String, cluster: String) {
            let name = service_name(&service, &namespace, &cluster);
            prop_assert!(CnsService::new(&name).is_ok(), "{}", name);
            prop_assert!(!name.contains('.'), "{}", name);
        }

        #[test]
        fn clusters_share_no_name(a in "[a-z0-9]{1,12}", b in "[a-z0-9]{1,12}", service in "[a-z]{1,60}") {
            prop_assume!(a != b);
            prop_assert_ne!(service_name(&service, "default", &a), service_name(&service, "default", &b));
        }
    }
}
