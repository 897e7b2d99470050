//! What is written on a Service of load balancers: status and finalizer, in one request.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, Value, json};

use crate::names::{BALANCERS_CLEANUP, CONDITION_BALANCED};

/// What to write on a Service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Whether our finalizer is to be there, where it is not as it should be.
    pub finalizer: Option<bool>,
    /// How clients find the Service, where that changes.
    pub ingress: Option<Ingress>,
    /// The condition, where it changes; `Some(None)` removes it.
    pub condition: Option<Option<Condition>>,
}

/// How clients find a Service: the addresses of its load balancers, each with the name that all have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The name; empty with no addresses.
    pub hostname: String,
    /// The addresses, in order.
    pub addresses: Vec<IpAddr>,
}

impl Ingress {
    /// As a Service has it now.
    pub fn of(service: &Service) -> Self {
        let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let all = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
        let hostname = all.iter().find_map(|it| it.hostname.clone()).unwrap_or_default();
        Self { hostname, addresses: all.iter().filter_map(|it| it.ip.as_ref()?.parse().ok()).collect() }
    }

    /// `Proxy` keeps kube-proxy from answering for the load balancers itself (KEP-1860).
    fn json(&self) -> Value {
        let entry = |ip: &IpAddr| json!({"ip": ip, "ipMode": "Proxy", "hostname": self.hostname});
        match self.addresses.as_slice() {
            [] => Value::Null,
            addresses => addresses.iter().map(entry).collect(),
        }
    }
}

impl Change {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The strategic merge patch for this very Service. Finalizers and conditions of others stay.
    pub fn patch(&self, service: &Service) -> Value {
        let mut metadata = Map::from_iter([("uid".to_owned(), json!(service.metadata.uid))]);
        match self.finalizer {
            Some(true) => drop(metadata.insert("finalizers".to_owned(), json!([BALANCERS_CLEANUP]))),
            Some(false) => {
                let key = "$deleteFromPrimitiveList/finalizers".to_owned();
                metadata.insert(key, json!([BALANCERS_CLEANUP]));
            }
            None => {}
        }
        let mut status = Map::new();
        if let Some(ingress) = &self.ingress {
            status.insert("loadBalancer".to_owned(), json!({"ingress": ingress.json()}));
        }
        let condition = self.condition.as_ref().map(|condition| match condition {
            Some(condition) => json!([condition]),
            None => json!([{"$patch": "delete", "type": CONDITION_BALANCED}]),
        });
        status.extend(condition.map(|condition| ("conditions".to_owned(), condition)));
        json!({"metadata": metadata, "status": status})
    }
}

/// The condition that says this, where it is not there yet.
pub fn condition(
    service: &Service,
    (is_good, reason): (bool, &str),
    message: String,
    wall: Timestamp,
) -> Option<Condition> {
    let status = if is_good { "True" } else { "False" };
    let before = present(service);
    if before
        .is_some_and(|it| (it.status.as_str(), it.reason.as_str(), &it.message) == (status, reason, &message))
    {
        return None;
    }
    let since = before.filter(|before| before.status == status).map(|before| before.last_transition_time.0);
    Some(Condition {
        last_transition_time: Time(since.unwrap_or(wall)),
        message,
        observed_generation: service.metadata.generation,
        reason: reason.to_owned(),
        status: status.to_owned(),
        type_: CONDITION_BALANCED.to_owned(),
    })
}

/// Our condition on a Service.
pub fn present(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == CONDITION_BALANCED)
}

/// Whether the finalizer is there that keeps a Service until its load balancers are gone.
pub fn has_finalizer(service: &Service) -> bool {
    let finalizers = service.metadata.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|finalizer| finalizer == BALANCERS_CLEANUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_what_changes_and_nothing_of_others() {
        let service: Service =
            serde_json::from_value(json!({"metadata": {"name": "s", "uid": "u"}})).unwrap();
        let ingress = Ingress { hostname: "h".to_owned(), addresses: vec!["203.0.113.5".parse().unwrap()] };
        let change = Change { finalizer: Some(true), ingress: Some(ingress.clone()), condition: None };
        let patch = change.patch(&service);
        let entry = json!({"ip": "203.0.113.5", "ipMode": "Proxy", "hostname": "h"});
        let finalizer = "tritondatacenter.com/load-balancer-instances";
        assert_eq!(
            patch,
            json!({
                "metadata": {"uid": "u", "finalizers": [finalizer]},
                "status": {"loadBalancer": {"ingress": [entry]}},
            })
        );
        let read = json!({"status": {"loadBalancer": {"ingress": [entry]}}});
        assert_eq!(Ingress::of(&serde_json::from_value(read).unwrap()), ingress);
        let change =
            Change { finalizer: Some(false), ingress: Some(Ingress::default()), condition: Some(None) };
        let patch = change.patch(&service);
        assert_eq!(patch["metadata"]["$deleteFromPrimitiveList/finalizers"], json!([finalizer]));
        assert_eq!(patch["status"]["loadBalancer"], json!({"ingress": null}));
        assert_eq!(patch["status"]["conditions"][0]["$patch"], "delete");
    }
}
