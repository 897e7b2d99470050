//! What happens in a life, one after the other, and what the world must be like after each of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use triton::types::{Instance, InstanceAction};

use super::history::CIDRS;
use super::site::Site;

/// The VLAN of the fixture's fabric network.
pub(super) const VLAN: u16 = 2;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The process starts, where there is nothing to look after.
    Start,
    /// A machine joins as a Node.
    JoinB,
    /// Another one joins, which has tags of somebody else's.
    JoinA,
    /// A machine is resized.
    Resize,
    /// A Service is made, with an endpoint on one Node.
    Serve,
    /// The endpoint moves to the other Node.
    Move,
    /// The Service takes another name in CNS.
    Rename,
    /// A machine stops.
    Stop,
    /// It runs again.
    Run,
    /// The Service is deleted.
    Unserve,
    /// A machine is destroyed.
    Destroy,
}

impl Phase {
    /// All, in their order.
    pub(super) const ALL: [Self; 11] = [
        Self::Start,
        Self::JoinB,
        Self::JoinA,
        Self::Resize,
        Self::Serve,
        Self::Move,
        Self::Rename,
        Self::Stop,
        Self::Run,
        Self::Unserve,
        Self::Destroy,
    ];

    /// How tables name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::JoinB => "join b",
            Self::JoinA => "join a",
            Self::Resize => "resize",
            Self::Serve => "serve",
            Self::Move => "move",
            Self::Rename => "rename",
            Self::Stop => "stop",
            Self::Run => "run",
            Self::Unserve => "unserve",
            Self::Destroy => "destroy",
        }
    }

    /// The phase of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Lets it happen.
    pub(super) async fn begin(self, site: &Site) -> anyhow::Result<()> {
        match self {
            // The process has been started, or it is being done.
            Self::Start => {}
            Self::JoinB => site.register("b", &site.b, CIDRS[1]).await?,
            Self::JoinA => site.register("a", &site.a, CIDRS[0]).await?,
            Self::Resize => {
                let resize = InstanceAction::Resize { package: "g1.small".into() };
                site.account.act_on_instance(site.a.id, &resize).await?;
                // No event tells of it, so it shows with the next list, within five minutes, or the next read. This makes one.
                let tags = [("resized".to_owned(), "yes".into())].into();
                site.account.add_tags(site.a.id, &tags).await?;
            }
            Self::Serve => {
                site.serve().await?;
                site.endpoint_on("a").await?;
            }
            Self::Move => site.endpoint_on("b").await?,
            Self::Rename => {
                let name = json!({"tritondatacenter.com/cns-service": site.names()[1]});
                site.change_service(json!({"metadata": {"annotations": name}})).await?;
            }
            Self::Stop => site.account.stop_instance(site.a.id).await.map(drop)?,
            Self::Run => site.account.start_instance(site.a.id).await.map(drop)?,
            Self::Unserve => site.delete_service().await?,
            Self::Destroy => site.account.delete_instance(site.a.id).await.map(drop)?,
        }
        Ok(())
    }

    /// Whether the world is exactly what it must be when that has happened.
    pub(super) async fn is_done(self, site: &Site) -> Result<(), String> {
        self.check_tags_and_routes(site)?;
        self.check_nodes(site)?;
        self.check_service(site.service().as_ref(), site)?;
        if self == Self::Start {
            let (config, secret) = site.scrape().await.map_err(|error| error.to_string())?;
            let spec = config.ok_or("no ScrapeConfig")?.data["spec"].clone();
            let data = secret.ok_or("no Secret")?.data.unwrap_or_default();
            if spec["tlsConfig"]["keySecret"]["name"] != format!("{}-client", site.name)
                || !["tls.crt", "tls.key"].iter().all(|key| data.contains_key(*key))
            {
                return Err(format!("the ScrapeConfig is {spec}"));
            }
        }
        Ok(())
    }

    fn check_tags_and_routes(self, site: &Site) -> Result<(), String> {
        let scene = site.scene();
        let mut expected = site.start.clone();
        expected.phase = scene.phase;
        let port = site.service().as_ref().map(node_port).unwrap_or_default();
        let name = &site.names()[usize::from(self >= Self::Rename)];
        let entry = format!("{name}:{port}");
        for (machine, from, serves) in [
            ("a", Self::JoinA, self == Self::Serve),
            ("b", Self::JoinB, self >= Self::Move && self < Self::Unserve),
        ] {
            let tags = expected.tags.entry(machine.to_owned()).or_default();
            if self >= Self::Resize && machine == "a" {
                tags.insert("resized".to_owned(), "yes".to_owned());
            }
            if self >= from {
                add(tags, "triton.cmon.groups", "k8s-kubernetes");
            }
            if serves {
                add(tags, "triton.cns.services", &entry);
                tags.insert("k8s.cns".to_owned(), entry.clone());
            }
            // Whoever was in a Service is this cluster's from then on.
            if self >= if machine == "a" { Self::Serve } else { Self::Move } {
                tags.insert("k8s.cluster".to_owned(), "kubernetes".to_owned());
            }
        }
        for (cidr, machine, from) in [(CIDRS[0], &site.a, Self::JoinA), (CIDRS[1], &site.b, Self::JoinB)] {
            if self >= from {
                expected.routes.insert(cidr.to_owned(), site.on_fabric(machine));
            }
        }
        if self >= Self::Destroy {
            expected.tags.remove("a");
            expected.routes.remove(CIDRS[0]);
        }
        if scene == expected { Ok(()) } else { Err(format!("{scene:#?}\nis not\n{expected:#?}")) }
    }

    fn check_nodes(self, site: &Site) -> Result<(), String> {
        let package = if self >= Self::Resize { "g1.small" } else { "g1.micro" };
        let shut: &[&str] = if self == Self::Stop { &["shutdown"] } else { &[] };
        if self >= Self::JoinA && self < Self::Destroy {
            check_node(site, "a", &site.a, package, shut)?;
        } else if site.node("a").is_some() {
            return Err("Node a is there".to_owned());
        }
        if self >= Self::JoinB {
            check_node(site, "b", &site.b, "g1.micro", &[])?;
        }
        Ok(())
    }

    fn check_service(self, service: Option<&Service>, site: &Site) -> Result<(), String> {
        if self < Self::Serve || self >= Self::Unserve {
            return service.map_or(Ok(()), |_| Err("the Service is there".to_owned()));
        }
        let service = json!(service.ok_or("there is no Service")?);
        let name = &site.names()[usize::from(self >= Self::Rename)];
        let hostname = service.pointer("/status/loadBalancer/ingress/0/hostname").and_then(Value::as_str);
        let conditions = service.pointer("/status/conditions").and_then(Value::as_array);
        let published = conditions.into_iter().flatten().find(|it| it["reason"] == "Published");
        let finalizers = &service["metadata"]["finalizers"];
        let right = hostname.is_some_and(|it| it.starts_with(&format!("{name}.svc.")))
            && published.is_some_and(|it| it["status"] == "True")
            && *finalizers == json!(["service.kubernetes.io/load-balancer-cleanup"]);
        if right { Ok(()) } else { Err(format!("the Service is {service:#}")) }
    }
}

/// Adds an element to a list in a tag.
fn add(tags: &mut BTreeMap<String, String>, key: &str, element: &str) {
    let list = tags.entry(key.to_owned()).or_default();
    *list = if list.is_empty() { element.to_owned() } else { format!("{list},{element}") };
}

fn node_port(service: &Service) -> i32 {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    ports.and_then(|ports| ports.first()?.node_port).unwrap_or_default()
}

fn check_node(
    site: &Site,
    which: &str,
    machine: &Instance,
    package: &str,
    taints: &[&str],
) -> Result<(), String> {
    let node = json!(site.node(which).ok_or("there is no Node")?);
    let text = |pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let label = |key: &str| text(&format!("/metadata/labels/{}", key.replace('/', "~1")));
    let list = |pointer: &str| node.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let keys: Vec<String> = list("/spec/taints")
        .iter()
        .filter_map(|taint| {
            taint["key"].as_str()?.strip_prefix("node.cloudprovider.kubernetes.io/").map(str::to_owned)
        })
        .collect();
    let network = list("/status/conditions").into_iter().find(|it| it["type"] == "NetworkUnavailable");
    let network = network.unwrap_or_default();
    let image = machine.image.map(|image| image.to_string()).unwrap_or_default();
    let found = (
        [
            text("/spec/providerID"),
            label("node.kubernetes.io/instance-type"),
            label("beta.kubernetes.io/instance-type"),
            label("tritondatacenter.com/package"),
            label("topology.kubernetes.io/zone"),
            label("tritondatacenter.com/image"),
            text("/status/addresses/0/address"),
            network["status"].as_str().unwrap_or_default().to_owned(),
            network["reason"].as_str().unwrap_or_default().to_owned(),
        ],
        list("/status/addresses").len(),
        keys,
    );
    let expected = (
        [
            format!("triton://dc1/{}", machine.id),
            package.to_owned(),
            package.to_owned(),
            package.to_owned(),
            "dc1".to_owned(),
            image,
            site.on_fabric(machine),
            "False".to_owned(),
            "RouteCreated".to_owned(),
        ],
        3,
        taints.iter().map(|taint| (*taint).to_owned()).collect(),
    );
    if found == expected { Ok(()) } else { Err(format!("Node {which}: {found:?}, not {expected:?}")) }
}
