//! The cloud controllers on a real control plane, with the machines of a simulated data centre as Nodes. What a kubelet
//! does, the test does: it registers Nodes and says whether they are ready.

mod balancers;
mod joining;
mod leaving;
mod metrics;
mod others;
mod routes;
mod service_failures;
mod service_names;
mod service_pods;
mod services;
mod services_stage;
mod stage;
