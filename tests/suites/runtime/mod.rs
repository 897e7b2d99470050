//! `pkg/runtime` on a real control plane: elections in this process, and processes that are started, frozen, refused,
//! asked to stop and killed.

mod audit;
mod client_go;
mod credentials;
mod elections;
mod outages;
mod overload;
mod running;
mod signals;

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use suites::control_plane::{ControlPlane, Identity, Options};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// No condition takes longer, on a machine that does other things as well.
const BOUND: Duration = Duration::from_secs(90);

/// Waits for a condition with a bound.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    within(BOUND, what, condition).await;
}

async fn within(bound: Duration, what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + bound;
    while !condition().await {
        assert!(Instant::now() < deadline, "{bound:?} passed, but not: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A control plane without controllers and scheduler; nothing here needs them.
fn options() -> Options {
    Options { scheduler: false, controller_manager: false, ..Options::default() }
}

/// A control plane that nobody disturbs, shared by the tests that run at the same time.
async fn calm_plane() -> Arc<ControlPlane> {
    static SHARED: Mutex<Weak<ControlPlane>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(plane) = shared.upgrade() {
        return plane;
    }
    let plane = ControlPlane::start(&audit::options(options())).await.unwrap();
    permit(&plane).await;
    let plane = Arc::new(plane);
    *shared = Arc::downgrade(&plane);
    plane
}

/// The group of all users that stand for election in these suites, and of nobody else.
const CANDIDATES: &str = "candidates";

/// Gives candidates the role that the manual names, and what they need to count.
async fn permit(plane: &ControlPlane) {
    for arguments in [
        "create role candidate --verb=get,create,patch --resource=leases.coordination.k8s.io",
        // client-go replaces the whole object.
        "create role client-go --verb=update --resource=leases.coordination.k8s.io",
        "create role counter --verb=patch --resource=configmaps",
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        plane.kubectl(&arguments).await.unwrap();
        let (role, of) = (format!("--role={}", arguments[2]), format!("--group={CANDIDATES}"));
        plane.kubectl(&["create", "rolebinding", arguments[2], &role, &of]).await.unwrap();
    }
}

/// The kubeconfig of a candidate of this name, which is never an administrator's.
async fn user(plane: &ControlPlane, name: &str) -> PathBuf {
    plane.kubeconfig(&Identity::User { name, groups: &[CANDIDATES] }).await.unwrap()
}

/// One field of a lease in `default`, by its JSON path; empty when there is none.
async fn lease(plane: &ControlPlane, name: &str, path: &str) -> String {
    let output = format!("--output=jsonpath={{{path}}}");
    plane.kubectl(&["get", "lease", name, "--ignore-not-found", &output]).await.unwrap()
}

/// A ConfigMap in `default` for candidates to count in.
async fn make_counter(plane: &ControlPlane, name: &str) {
    plane.kubectl(&["create", "configmap", name]).await.unwrap();
}
