//! The names that Kubernetes gives to what a cloud controller manager writes on Nodes (Kubernetes reference 2.1).

/// The taint with which a kubelet registers a Node that a cloud controller manager is to initialise.
pub const TAINT_UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// The taint of a Node whose machine is shut down. It has no value.
pub const TAINT_SHUTDOWN: &str = "node.cloudprovider.kubernetes.io/shutdown";

/// The effect of [`TAINT_SHUTDOWN`].
pub const NO_SCHEDULE: &str = "NoSchedule";

/// The taint with which the cluster autoscaler announces that it is about to delete a Node.
pub const TAINT_TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// The label of Nodes that are not to be behind load balancers, unless its value is `false`.
pub const EXCLUDE_FROM_LOAD_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The finalizer of Services for which a load balancer has to be cleaned up.
pub const LOAD_BALANCER_CLEANUP: &str = "service.kubernetes.io/load-balancer-cleanup";

/// The annotation with the source ranges of a load balancer, older than the field of this name.
pub const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// The label of an EndpointSlice that names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The condition of a Service that says whether it is in CNS; ours.
pub const CONDITION_PUBLISHED: &str = "tritondatacenter.com/Published";

/// The annotation in which a kubelet says what its `--node-ip` was: one address, or one of each family.
pub const PROVIDED_NODE_IP: &str = "alpha.kubernetes.io/provided-node-ip";

/// The labels of the instance type: the present one and its older twin.
pub const INSTANCE_TYPE: [&str; 2] = ["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"];

/// The labels of the zone.
pub const ZONE: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

/// The labels of the region.
pub const REGION: [&str; 2] = ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"];

/// The label of the host's name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// The condition that says whether `--node-ip` of a kubelet is an address of its machine; ours.
pub const CONDITION_NODE_IP: &str = "ProvidedNodeIPMismatch";

/// The condition of a Node whose pods cannot be reached from other Nodes.
pub const CONDITION_NETWORK_UNAVAILABLE: &str = "NetworkUnavailable";

/// The condition that says that the routes of a Node are there, and that nobody has said that they help; ours.
pub const CONDITION_ROUTES_NOT_EFFECTIVE: &str = "RoutesNotEffective";

/// The name under which [`node`](crate::node) writes, and which its events carry.
pub const NODE_CONTROLLER: &str = "cloud-node-controller";

/// The name under which [`node_lifecycle`](crate::node_lifecycle) writes, and which its events carry.
pub const NODE_LIFECYCLE_CONTROLLER: &str = "cloud-node-lifecycle-controller";

/// The name under which [`service`](crate::service) writes, and which its events carry.
pub const SERVICE_CONTROLLER: &str = "service-controller";

/// The name under which [`route`](crate::route) writes, and which its events carry: the framework's.
pub const ROUTE_CONTROLLER: &str = "route_controller";

/// The name that the events of [`metrics`](crate::metrics) carry; ours, for the framework has no such controller.
pub const METRICS_CONTROLLER: &str = "node-metrics-controller";

/// The finalizer of Services whose load-balancer instances have to be deleted; ours.
pub const BALANCERS_CLEANUP: &str = "tritondatacenter.com/load-balancer-instances";

/// The condition of a Service that says whether its load balancers carry traffic; ours.
pub const CONDITION_BALANCED: &str = "tritondatacenter.com/Balanced";
