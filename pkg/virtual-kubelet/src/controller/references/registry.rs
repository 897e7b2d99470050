//! The objects of one kind that are followed, and who refers to them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt as _};
use runtime::exit::one_line;
use runtime::watching::watch;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Known;
use crate::pod::PodKey;

/// Is told which pod to look at.
pub(super) type Changed = dyn Fn(&PodKey) + Send + Sync;

/// An object's namespace and name.
type ObjectKey = (Box<str>, Box<str>);

/// The objects of one kind.
pub(super) struct Registry<K> {
    client: kube::Client,
    /// A watch holds one of these.
    watches: Arc<Semaphore>,
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Arc<Changed>,
}

struct State<K> {
    objects: HashMap<ObjectKey, Followed<K>>,
    by_pod: HashMap<PodKey, BTreeSet<ObjectKey>>,
    /// Counts watches, so that one that has ended cannot speak for its successor.
    watches: u64,
    random: fastrand::Rng,
}

/// An object, and the watch that keeps it. The watch ends with it.
struct Followed<K> {
    pods: HashSet<PodKey>,
    known: Known<K>,
    number: u64,
    /// None for a name that no object can have.
    task: Option<JoinHandle<()>>,
}

impl<K> Drop for Followed<K> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<K> Registry<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    pub(super) fn new(
        client: kube::Client,
        most: usize,
        random: fastrand::Rng,
        changed: Arc<Changed>,
    ) -> Self {
        let state = State { objects: HashMap::new(), by_pod: HashMap::new(), watches: 0, random };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed });
        Self { client, watches: Arc::new(Semaphore::new(most)), shared }
    }

    /// Makes `names` all that a pod refers to.
    pub(super) fn follow<'a>(&self, pod: &PodKey, names: impl IntoIterator<Item = &'a str>) {
        let keys: BTreeSet<ObjectKey> =
            names.into_iter().map(|name| ((*pod.namespace).into(), name.into())).collect();
        let mut state = self.shared.lock();
        let before = state.by_pod.remove(pod).unwrap_or_default();
        for key in before.difference(&keys) {
            let Some(followed) = state.objects.get_mut(key) else { continue };
            followed.pods.remove(pod);
            if followed.pods.is_empty() {
                state.objects.remove(key);
            }
        }
        for key in keys.difference(&before) {
            if let Some(followed) = state.objects.get_mut(key) {
                followed.pods.insert(pod.clone());
                continue;
            }
            let followed = self.begin(&mut state, key, pod);
            state.objects.insert(key.clone(), followed);
        }
        if !keys.is_empty() {
            state.by_pod.insert(pod.clone(), keys);
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Known<K> {
        let key = (namespace.into(), name.into());
        let state = self.shared.lock();
        state.objects.get(&key).map_or(Known::NotReadYet(None), |followed| followed.known.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.shared.lock().objects.len()
    }

    fn begin(&self, state: &mut State<K>, key: &ObjectKey, pod: &PodKey) -> Followed<K> {
        state.watches += 1;
        let number = state.watches;
        let pods = HashSet::from([pod.clone()]);
        if !can_be_a_name(&key.1) {
            return Followed { pods, known: Known::Absent, number, task: None };
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &key.0);
        let config = watcher::Config::default().fields(&format!("metadata.name={}", key.1));
        let events = watch(api, config, state.random.fork());
        // Weak: a watch does not keep the registry.
        let (shared, key) = (Arc::downgrade(&self.shared), key.clone());
        let watches = Arc::clone(&self.watches);
        let task = tokio::spawn(async move {
            // Never closed, so that it is always granted.
            let Ok(_permit) = watches.acquire().await else { return };
            let mut events = Box::pin(events);
            let mut listed = false;
            while let Some(event) = events.next().await {
                let news = match event {
                    Ok(Event::Init) => {
                        listed = false;
                        None
                    }
                    Ok(Event::InitApply(object)) if object.name_any() == *key.1 => {
                        listed = true;
                        Some(Known::Known(Arc::new(trimmed(object))))
                    }
                    Ok(Event::InitDone) if !listed => Some(Known::Absent),
                    Ok(Event::Apply(object)) if object.name_any() == *key.1 => {
                        Some(Known::Known(Arc::new(trimmed(object))))
                    }
                    Ok(Event::Delete(object)) if object.name_any() == *key.1 => Some(Known::Absent),
                    Ok(_) => None,
                    Err(error) => {
                        let error = one_line(&error);
                        tracing::warn!(kind = %K::kind(&()), namespace = %key.0, name = %key.1, %error, "watch failed");
                        Some(Known::NotReadYet(Some(error.into())))
                    }
                };
                let Some(news) = news else { continue };
                let Some(shared) = Weak::upgrade(&shared) else { return };
                shared.learn(&key, number, news);
            }
        });
        Followed { pods, known: Known::NotReadYet(None), number, task: Some(task) }
    }
}

impl<K: Resource> Shared<K> {
    /// Takes what a watch says, and tells the pods if it is news.
    fn learn(&self, key: &ObjectKey, number: u64, news: Known<K>) {
        let pods: Vec<PodKey> = {
            let mut state = self.lock();
            let Some(followed) = state.objects.get_mut(key).filter(|followed| followed.number == number)
            else {
                return;
            };
            if !is_news(&followed.known, &news) {
                return;
            }
            followed.known = news;
            followed.pods.iter().cloned().collect()
        };
        for pod in &pods {
            (self.changed)(pod);
        }
    }
}

impl<K> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Nothing panics while holding the lock, and every change of the state is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something is to be done about what is now said of an object.
fn is_news<K: Resource>(known: &Known<K>, news: &Known<K>) -> bool {
    match (known, news) {
        (Known::Known(old), Known::Known(new)) => {
            let version = |object: &K| object.meta().resource_version.clone();
            version(old).is_none() || version(old) != version(new) || old.meta().uid != new.meta().uid
        }
        (Known::Absent, Known::Absent) => false,
        (Known::NotReadYet(old), Known::NotReadYet(new)) => old != new,
        // A watch that fails does not unmake what it said.
        (_, Known::NotReadYet(_)) => false,
        _ => true,
    }
}

/// Whether an object can have this name (a DNS subdomain); another one would be no field selector.
fn can_be_a_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(allowed)
}

/// The longest name of an object (RFC 1123 subdomain, as the API server has it).
const MAX_NAME: usize = 253;

/// The object without what nobody reads. Annotations may repeat all of it, secrets included.
fn trimmed<K: Resource>(mut object: K) -> K {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    metadata.annotations = None;
    object
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn secret(version: &str) -> Known<Secret> {
        let metadata = json!({"name": "s", "uid": "u", "resourceVersion": version});
        Known::Known(Arc::new(serde_json::from_value(json!({"metadata": metadata})).unwrap()))
    }

    fn failed(why: &str) -> Known<Secret> {
        Known::NotReadYet(Some(why.into()))
    }

    #[rstest]
    #[case::read(Known::NotReadYet(None), secret("1"), true)]
    #[case::read_as_absent(Known::NotReadYet(None), Known::Absent, true)]
    #[case::changed(secret("1"), secret("2"), true)]
    #[case::listed_again(secret("1"), secret("1"), false)]
    #[case::gone(secret("1"), Known::Absent, true)]
    #[case::absent_still(Known::Absent, Known::Absent, false)]
    #[case::appeared(Known::Absent, secret("1"), true)]
    #[case::the_first_failure(Known::NotReadYet(None), failed("a"), true)]
    #[case::the_same_failure(failed("a"), failed("a"), false)]
    #[case::another_failure(failed("a"), failed("b"), true)]
    #[case::a_failure_after_it_was_read(secret("1"), failed("a"), false)]
    #[case::a_failure_after_it_was_absent(Known::Absent, failed("a"), false)]
    fn only_news_is_told(#[case] known: Known<Secret>, #[case] said: Known<Secret>, #[case] news: bool) {
        assert_eq!(is_news(&known, &said), news);
    }

    #[rstest]
    #[case("web-1.config", true)]
    #[case("", false)]
    #[case("a,metadata.namespace=b", false)]
    #[case("A", false)]
    #[case("a/b", false)]
    fn names_that_no_object_can_have_are_not_asked_for(#[case] name: &str, #[case] possible: bool) {
        assert_eq!(can_be_a_name(name), possible);
    }
}
