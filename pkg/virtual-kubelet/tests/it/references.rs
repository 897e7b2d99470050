//! The ConfigMaps and Secrets that pods refer to, against a simulated API server under a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use virtual_kubelet::controller::references::{Known, References};
use virtual_kubelet::pod::PodKey;

use crate::api_server::ApiServer;

/// Far longer than any back-off of a watch; nobody waits for it in vain, since the clock is paused.
const SOON: Duration = Duration::from_secs(600);

struct Setup {
    server: ApiServer,
    references: References,
    /// The pods that were to be looked at.
    told: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    fn new(most: usize) -> Self {
        let server = ApiServer::default();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let references =
            References::new(&server.client(), most, fastrand::Rng::with_seed(1), move |pod: &PodKey| {
                tell.lock().unwrap().push(pod.name.to_string());
            });
        Self { server, references, told }
    }

    fn told(&self) -> Vec<String> {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        told.sort();
        told
    }

    /// The value of a key of a Secret.
    fn secret(&self, name: &str, key: &str) -> Option<Vec<u8>> {
        match self.references.secret("default", name) {
            Known::Known(secret) => Some(secret.data.as_ref()?.get(key)?.0.clone()),
            Known::Absent | Known::NotReadYet(_) => None,
        }
    }

    fn config_map(&self, name: &str, key: &str) -> Option<String> {
        match self.references.config_map("default", name) {
            Known::Known(map) => map.data.as_ref()?.get(key).cloned(),
            Known::Absent | Known::NotReadYet(_) => None,
        }
    }

    fn is_absent(&self, name: &str) -> bool {
        matches!(self.references.secret("default", name), Known::Absent)
    }
}

fn pod(name: &str) -> PodKey {
    PodKey { namespace: "default".into(), name: name.into(), uid: format!("uid-{name}").into() }
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("it comes true");
}

#[tokio::test(start_paused = true)]
async fn what_a_pod_refers_to_is_read_and_followed() {
    let it = Setup::new(10);
    it.server.put("secrets", "db", &json!({"password": "aHVudGVyMg=="}));
    it.server.put("configmaps", "app", &json!({"mode": "fast"}));
    it.server.put("secrets", "unused", &json!({"x": "eA=="}));
    assert!(matches!(it.references.secret("default", "db"), Known::NotReadYet(None)));
    it.references.follow(&pod("a"), ["app"], ["db", "late"]);
    assert_eq!(it.references.len(), 3);
    until(|| it.secret("db", "password").as_deref() == Some(b"hunter2")).await;
    until(|| it.config_map("app", "mode").as_deref() == Some("fast")).await;
    until(|| it.is_absent("late")).await;
    assert_eq!(it.told(), ["a", "a", "a"], "once for each");

    it.server.put("configmaps", "app", &json!({"mode": "slow"}));
    until(|| it.config_map("app", "mode").as_deref() == Some("slow")).await;
    it.server.put("secrets", "late", &json!({"x": "eA=="}));
    until(|| it.secret("late", "x").is_some()).await;
    it.server.delete("secrets", "db");
    until(|| it.is_absent("db")).await;
    assert_eq!(it.told(), ["a", "a", "a"]);
    assert!(!it.server.asked().iter().any(|request| request.contains("unused")));
    assert!(matches!(it.references.secret("default", "unused"), Known::NotReadYet(None)));
}

#[tokio::test(start_paused = true)]
async fn pods_share_a_watch_which_ends_with_the_last_of_them() {
    let it = Setup::new(10);
    it.server.put("secrets", "db", &json!({"x": "eA=="}));
    it.references.follow(&pod("a"), [], ["db"]);
    it.references.follow(&pod("b"), [], ["db", "other"]);
    until(|| it.server.watched() == ["secrets/db", "secrets/other"]).await;
    it.told();

    it.server.put("secrets", "db", &json!({"x": "eQ=="}));
    until(|| it.secret("db", "x").as_deref() == Some(b"y")).await;
    assert_eq!(it.told(), ["a", "b"]);

    // Saying the same again costs nothing.
    let asked = it.server.asked().len();
    it.references.follow(&pod("b"), [], ["other", "db"]);
    it.references.follow(&pod("b"), [], ["db"]);
    until(|| it.server.watched() == ["secrets/db"]).await;
    it.references.forget(&pod("a"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(it.server.watched(), ["secrets/db"], "b still refers to it");
    assert_eq!(it.server.asked().len(), asked);
    it.references.forget(&pod("b"));
    until(|| it.server.watched().is_empty()).await;
    assert!(it.references.is_empty());
    assert!(matches!(it.references.secret("default", "db"), Known::NotReadYet(None)), "nothing is kept");

    // A pod of the same name that comes later reads it anew.
    it.references.follow(&pod("b"), [], ["db"]);
    until(|| it.secret("db", "x").is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_changes_nothing_that_is_known() {
    let it = Setup::new(10);
    it.server.put("secrets", "db", &json!({"x": "eA=="}));
    it.references.follow(&pod("a"), [], ["db", "none"]);
    until(|| it.secret("db", "x").is_some() && it.is_absent("none")).await;
    it.told();
    it.server.refuse(Some(StatusCode::SERVICE_UNAVAILABLE));
    it.server.cut();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(it.secret("db", "x").is_some() && it.is_absent("none"));
    assert_eq!(it.told(), [""; 0]);
    it.server.put("secrets", "db", &json!({"x": "eQ=="}));
    it.server.refuse(None);
    // The simulated server does not replay what a watch missed; the next change shows that it is followed again.
    until(|| it.server.watched().len() == 2).await;
    it.server.put("secrets", "db", &json!({"x": "eg=="}));
    until(|| it.secret("db", "x").as_deref() == Some(b"z")).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_says_why() {
    let it = Setup::new(10);
    it.server.refuse(Some(StatusCode::FORBIDDEN));
    it.references.follow(&pod("a"), [], ["db"]);
    until(|| matches!(it.references.secret("default", "db"), Known::NotReadYet(Some(_)))).await;
    let Known::NotReadYet(Some(reason)) = it.references.secret("default", "db") else { panic!("a reason") };
    assert!(reason.contains("cannot list secrets; the role needs list and watch"), "{reason}");
    assert_eq!(it.told(), ["a"], "so that the pod can say it");
    it.server.put("secrets", "db", &json!({"x": "eA=="}));
    it.server.refuse(None);
    until(|| it.secret("db", "x").is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn watches_are_bounded_and_the_rest_wait() {
    let it = Setup::new(2);
    it.references.follow(&pod("a"), [], ["a1", "a2"]);
    until(|| it.server.watched().len() == 2).await;
    it.references.follow(&pod("b"), [], ["b1"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(it.server.watched(), ["secrets/a1", "secrets/a2"]);
    assert!(matches!(it.references.secret("default", "b1"), Known::NotReadYet(None)));
    it.references.forget(&pod("a"));
    until(|| it.is_absent("b1")).await;
    assert_eq!(it.server.watched(), ["secrets/b1"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_object_can_have_is_absent_and_not_asked_for() {
    let it = Setup::new(10);
    it.references.follow(&pod("a"), [], ["", "a,metadata.name!=b", "A_B"]);
    for name in ["", "a,metadata.name!=b", "A_B"] {
        assert!(it.is_absent(name), "{name}");
    }
    assert_eq!(it.server.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_printed_or_kept_twice() {
    let it = Setup::new(10);
    it.server.put("secrets", "db", &json!({"password": "aHVudGVyMg=="}));
    it.references.follow(&pod("a"), [], ["db"]);
    until(|| it.secret("db", "password").is_some()).await;
    let known = it.references.secret("default", "db");
    let printed = format!("{known:?} {:?}", it.references);
    assert!(!printed.contains("hunter2") && !printed.contains("aHVudGVyMg"), "{printed}");
    let Known::Known(secret) = known else { panic!("known") };
    assert_eq!(secret.metadata.annotations, None);
}

#[tokio::test(start_paused = true)]
async fn all_watches_end_with_the_references() {
    let it = Setup::new(10);
    it.references.follow(&pod("a"), ["x"], ["y"]);
    until(|| it.server.watched().len() == 2).await;
    drop(it.references);
    until(|| it.server.watched().is_empty()).await;
}
