//! The names that we write on Kubernetes objects and on instances, all in one place.

/// The prefix of our annotations, labels and load-balancer classes.
pub const PREFIX: &str = "tritondatacenter.com/";

/// Annotations of pods, without [`PREFIX`]; those of the original Triton provider are also read without it.
pub mod annotation {
    /// Package, by id or name.
    pub const PACKAGE: &str = "package";
    /// Networks, by id or name, separated by commas.
    pub const NETWORKS: &str = "networks";
    /// Affinity rules, separated by commas.
    pub const AFFINITY: &str = "affinity";
    /// Whether the account's firewall rules apply: `true` or `false`.
    pub const FIREWALL_ENABLED: &str = "fwenabled";
    /// The same, by its long name.
    pub const FIREWALL_ENABLED_LONG: &str = "firewall-enabled";
    /// The group whose members reach each other.
    pub const FIREWALL_GROUP: &str = "fwgroup";
    /// The same, by its long name.
    pub const FIREWALL_GROUP_LONG: &str = "firewall-group";
    /// Whether deletion is refused: `true` or `false`.
    pub const DELETION_PROTECTION: &str = "delprotect";
    /// The same, by its long name.
    pub const DELETION_PROTECTION_LONG: &str = "deletion-protection";
    /// The network, by id or name, whose address is the pod's.
    pub const POD_NETWORK: &str = "pod-network";
    /// On a virtual node: which labels and which taint we have given it, as JSON, so that those which are no longer
    /// wanted can be told from other people's.
    pub const NODE_APPLIED: &str = "applied";
    /// More metadata, as a JSON object of texts: for keys that an annotation cannot have, `cloud-init:user-data`. With
    /// [`PREFIX`](super::PREFIX) only.
    pub const METADATA: &str = "metadata";
    /// On a pod: who commands run as in the instance. With [`PREFIX`](super::PREFIX) only.
    pub const SSH_USER: &str = "ssh-user";
    /// On a pod: the SSH host key of the instance, as an OpenSSH public key. Its comment is the instance's id when we have
    /// written it; without a comment it holds for whatever instance. With [`PREFIX`](super::PREFIX) only.
    pub const SSH_HOST_KEY: &str = "ssh-host-key";
    /// On a Service: the name of its CNS service. It also puts Services into CNS that are not of type LoadBalancer.
    pub const CNS_SERVICE: &str = "cns-service";
    /// On a Service: which name its status has, where CNS has several for different networks: `public`, `private`, or
    /// `network:` and the name of a fabric network.
    pub const CNS_ZONE: &str = "cns-zone";
    /// On a Service: whether its last node leaves CNS with its last endpoint: `true` or `false`.
    pub const PUBLISH_EMPTY: &str = "publish-empty";
    /// On a Service: the percentage of its nodes above which failures are taken for the control plane's.
    pub const PANIC_THRESHOLD: &str = "panic-threshold";
}

/// Labels that we keep on the Nodes of machines.
pub mod label {
    /// The server that the instance is on, by id: the natural failure domain within a data centre.
    pub const COMPUTE_NODE: &str = "tritondatacenter.com/compute-node";
    /// How the instance is virtualised.
    pub const BRAND: &str = "tritondatacenter.com/brand";
    /// The name of its package.
    pub const PACKAGE: &str = "tritondatacenter.com/package";
    /// The image that it was made from, by id.
    pub const IMAGE: &str = "tritondatacenter.com/image";
    /// Label and value of nodes whose pods are instances; such a node is no machine.
    pub const VIRTUAL: (&str, &str) = ("type", "virtual-kubelet");
}

/// Tags that we own on instances.
pub mod tag {
    /// The prefix of them all, but for Triton's own.
    pub const PREFIX: &str = "k8s.";
    /// The cluster whose object the instance stands for.
    pub const CLUSTER: &str = "k8s.cluster";
    /// The node.
    pub const NODE: &str = "k8s.node";
    /// The pod's namespace.
    pub const NAMESPACE: &str = "k8s.namespace";
    /// The pod's name.
    pub const POD: &str = "k8s.pod";
    /// The Service's name, on a load balancer.
    pub const SERVICE: &str = "k8s.service";
    /// The UID of the pod or of the Service.
    pub const UID: &str = "k8s.uid";
    /// The entries of `triton.cns.services` that are ours.
    pub const CNS: &str = "k8s.cns";
    /// The set of open ports, as the firewall rules that open them name it.
    pub const PORTS: &str = "k8s.ports";
    /// The firewall group, as its rules name it.
    pub const GROUP: &str = "k8s.group";
    /// The keys of the tags that are labels of the pod, separated by commas.
    pub const LABELS: &str = "k8s.labels";
    /// The resources that the package was chosen for.
    pub const RESOURCES: &str = "k8s.resources";
    /// Membership in CNS services (reference 3.3).
    pub const CNS_SERVICES: &str = "triton.cns.services";
    /// Membership in CMON groups (reference 4.3).
    pub const CMON_GROUPS: &str = "triton.cmon.groups";
}

/// Metadata keys.
pub mod metadata {
    /// `up` or anything else: whether CNS answers with the instance (reference 3.4).
    pub const CNS_STATUS: &str = "triton.cns.status";
    /// The environment of the container, as `{"env_vars": {…}}`.
    pub const USER_DATA: &str = "user-data";
    /// Which metadata is ours, as JSON: `{"metadata": ["user-data"], "env": "…"}`.
    pub const APPLIED: &str = "k8s:applied";
    /// The exit code that a guest reports before it halts.
    pub const EXIT_CODE: &str = "k8s:exit-code";
}

/// Load-balancer classes.
pub mod class {
    /// DNS by CNS; also for Services without a class.
    pub const CNS: &str = "tritondatacenter.com/cns";
    /// Proxy instances.
    pub const MOIRAI: &str = "tritondatacenter.com/moirai";
}

/// The cluster's name when none is given, as Kubernetes' own controllers have it.
pub const DEFAULT_CLUSTER: &str = "kubernetes";
