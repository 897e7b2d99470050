//! The variables by which containers find Services, in both forms that a kubelet writes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};

/// The namespace and the name of the Service of the API server, whose variables every container has.
const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// The variables of the Services of `namespace`, if the pod wants `links`, and always those of the API server. A
/// Service of the pod's own namespace wins over the API server's of the same name.
pub(super) fn variables<'a>(
    services: impl Iterator<Item = &'a Service> + Clone,
    namespace: &str,
    links: bool,
) -> BTreeMap<String, Box<str>> {
    let name = |service: &Service| -> Option<(String, String)> {
        let metadata = &service.metadata;
        Some((metadata.namespace.clone()?, metadata.name.clone()?))
    };
    let mut variables = BTreeMap::new();
    let is_api_server = |service: &&Service| {
        name(service).is_some_and(|(ns, name)| (ns.as_str(), name.as_str()) == API_SERVER)
    };
    for service in services.clone().filter(is_api_server) {
        add(&mut variables, service);
    }
    let is_linked = |service: &&Service| links && name(service).is_some_and(|(ns, _)| ns == namespace);
    for service in services.filter(is_linked) {
        add(&mut variables, service);
    }
    variables
}

fn add(variables: &mut BTreeMap<String, Box<str>>, service: &Service) {
    let (Some(name), Some(spec)) = (&service.metadata.name, &service.spec) else {
        return;
    };
    let Some(ip) = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") else {
        return;
    };
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else {
        return;
    };
    let prefix = variable(name);
    let mut set = |name: String, value: String| variables.insert(name, value.into_boxed_str());
    set(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
    set(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            set(format!("{prefix}_SERVICE_PORT_{}", variable(name)), port.port.to_string());
        }
    }
    set(format!("{prefix}_PORT"), url(ip, first));
    for port in ports {
        let protocol = protocol(port);
        let prefix = format!("{prefix}_PORT_{}_{protocol}", port.port);
        set(prefix.clone(), url(ip, port));
        set(format!("{prefix}_PROTO"), protocol.to_lowercase());
        set(format!("{prefix}_PORT"), port.port.to_string());
        set(format!("{prefix}_ADDR"), ip.to_owned());
    }
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().filter(|protocol| !protocol.is_empty()).unwrap_or("TCP").to_uppercase()
}

fn url(ip: &str, port: &ServicePort) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("{}://{host}:{}", protocol(port).to_lowercase(), port.port)
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
