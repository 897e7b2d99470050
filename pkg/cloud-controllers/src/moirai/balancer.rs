//! The load balancers that a Service should have.

use k8s_openapi::api::core::v1::Service;
use provider::cns::ServiceKey;
use provider::digest;
use provider::instance_name::instance_name;
use provider::names::{metadata, tag};
use triton::grammar::cns::MAX_NAME_LENGTH;
use triton::types::{CreateInstance, Instance, Metadata, NetworkRequest, TagValue, Tags};

use super::supplies::Supplies;
use super::wishes::Wishes;

/// Marks an instance as a load balancer; the image does nothing without it (Triton reference 9).
const ENABLED: &str = "cloud.tritoncompute:loadbalancer";
/// Which port leads where.
const PORTMAP: &str = "cloud.tritoncompute:portmap";
/// How many servers there may be behind a port.
const MAX_SERVERS: &str = "cloud.tritoncompute:max_rs";
/// The names of the certificate.
const CERTIFICATE_NAMES: &str = "cloud.tritoncompute:certificate_name";
/// Who may read metrics.
const METRICS_ACL: &str = "cloud.tritoncompute:metrics_acl";
/// The metadata that is ours: what is not wanted of it is removed.
const OURS: [&str; 6] = [ENABLED, PORTMAP, MAX_SERVERS, CERTIFICATE_NAMES, METRICS_ACL, metadata::CNS_STATUS];

/// Stands behind the name of a Service in CNS.
const SUFFIX: &str = "-lb";

/// The CNS service of the load balancers of a Service whose own is `name`: `<name>-lb`, cut to fit.
pub fn balancer_name(name: &str) -> String {
    let most = MAX_NAME_LENGTH - SUFFIX.len();
    if name.len() <= most {
        return format!("{name}{SUFFIX}");
    }
    let digest = digest::short([name]);
    let readable: String = name.chars().take(most - digest.len() - 1).collect();
    format!("{}-{digest}{SUFFIX}", readable.trim_end_matches('-'))
}

/// The load balancers of one Service: alike but for their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancers {
    /// Their names, the first one's first. Another package or other networks make other names: what cannot be changed is
    /// replaced.
    pub names: Vec<String>,
    /// Their tags.
    tags: Tags,
    /// Their metadata.
    metadata: Metadata,
    /// Their affinity.
    affinity: String,
    supplies: Supplies,
}

impl Balancers {
    /// As a Service should have them, with this port map; `cns` is their CNS service.
    pub fn new(
        (cluster, key): (&str, &ServiceKey),
        service: &Service,
        (wishes, replicas): (&Wishes, usize),
        supplies: Supplies,
        (cns, portmap): (&str, String),
    ) -> Self {
        let uid = service.metadata.uid.as_deref().unwrap_or_default();
        let networks = supplies.networks.iter().map(|(id, _)| id.to_string());
        let form: Vec<String> =
            [uid.to_owned(), supplies.package.clone()].into_iter().chain(networks).collect();
        let form = digest::short(form.iter().map(String::as_str));
        let name = |slot| instance_name(&key.namespace, &format!("{}-lb{slot}", key.name), &form);
        let tags = [
            (tag::CLUSTER, cluster),
            (tag::NAMESPACE, &*key.namespace),
            (tag::SERVICE, &*key.name),
            (tag::UID, uid),
            (tag::CNS_SERVICES, cns),
        ];
        let mut metadata = Metadata::from_iter([(ENABLED, "true"), (PORTMAP, portmap.as_str())]);
        if let Some(most) = wishes.max_servers {
            metadata.insert(MAX_SERVERS, most.to_string());
        }
        if !wishes.certificate_names.is_empty() {
            metadata.insert(CERTIFICATE_NAMES, wishes.certificate_names.join(","));
        }
        if !wishes.metrics_acl.is_empty() {
            let acl: Vec<String> = wishes.metrics_acl.iter().map(ToString::to_string).collect();
            metadata.insert(METRICS_ACL, acl.join(","));
        }
        Self {
            names: (0..replicas).map(name).collect(),
            tags: tags.into_iter().map(|(key, value)| (key.to_owned(), TagValue::from(value))).collect(),
            metadata,
            // A wish: there may be fewer compute nodes than load balancers.
            affinity: format!("{}!=~{uid}", tag::UID),
            supplies,
        }
    }

    /// The request that makes the one of this name.
    pub fn request(&self, name: &str) -> CreateInstance {
        CreateInstance {
            name: Some(name.to_owned()),
            networks: self.supplies.networks.iter().map(|(id, _)| NetworkRequest::Any(*id)).collect(),
            affinity: vec![self.affinity.clone()],
            metadata: self.metadata.clone(),
            tags: self.tags.clone(),
            ..CreateInstance::new(self.supplies.package.clone(), self.supplies.image)
        }
    }

    /// What an instance lacks: tags to set, metadata to set, metadata to remove.
    pub fn lacks(&self, instance: &Instance) -> (Tags, Metadata, Vec<&'static str>) {
        let tags = self.tags.iter().filter(|(key, value)| instance.tags.get(*key) != Some(*value));
        let differs = |(key, value): &(&str, &str)| instance.metadata.get(key) != Some(value);
        let metadata = self.metadata.iter().filter(differs);
        let is_extra = |key: &&str| instance.metadata.contains_key(key) && !self.metadata.contains_key(key);
        let extra = OURS.into_iter().filter(is_extra);
        (tags.map(|(key, value)| (key.clone(), value.clone())).collect(), metadata.collect(), extra.collect())
    }
}

/// Whether an instance is a load balancer of this Service in this cluster.
pub fn is_own(instance: &Instance, cluster: &str, service: &Service) -> bool {
    let has = |key, value: Option<&str>| {
        value.is_some() && instance.tags.get(key).and_then(TagValue::as_str) == value
    };
    has(tag::CLUSTER, Some(cluster))
        && has(tag::SERVICE, service.metadata.name.as_deref())
        && has(tag::NAMESPACE, service.metadata.namespace.as_deref())
        && has(tag::UID, service.metadata.uid.as_deref())
}

/// The Service that an instance is a load balancer of.
pub fn service_of(instance: &Instance, cluster: &str) -> Option<ServiceKey> {
    let text = |key| instance.tags.get(key).and_then(TagValue::as_str);
    let key = ServiceKey { namespace: text(tag::NAMESPACE)?.into(), name: text(tag::SERVICE)?.into() };
    (text(tag::CLUSTER) == Some(cluster)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_load_balancers_fits() {
        assert_eq!(balancer_name("web-default"), "web-default-lb");
        assert_eq!(balancer_name(&"a".repeat(60)), format!("{}-lb", "a".repeat(60)));
        let long = balancer_name(&"a".repeat(63));
        assert!(long.len() == MAX_NAME_LENGTH && long.ends_with("-lb"), "{long}");
        assert_ne!(long, balancer_name(&"a".repeat(62)));
    }
}
