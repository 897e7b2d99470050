//! What a pod's instance should be, from everything that decides about it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use provider::cns::{Member, wanted};
use provider::names::tag;
use runtime::events::Severity;
use triton::reflector::Entry;
use triton::types::{TagValue, Tags};

use super::Controller;
use super::references::Known as Read;
use crate::catalog::{Catalog, capacity};
use crate::lifecycle::{Note, Step};
use crate::pod::drift::{self, CnsTags};
use crate::pod::env::{self, Environment, Known, Outcome, Reference, ReferenceKind, Source, Sources};
use crate::pod::{Demand, Desired, PodKey, Refusal, RefusalReason, Resources, Warning};

/// What a pod's instance should be, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// `None` while something that decides about it has not been read.
    pub(super) desired: Option<Result<Desired, Refusal>>,
    /// What to write to the instance that there is.
    pub(super) drift: Vec<Step>,
    /// What to tell the user.
    pub(super) notes: Vec<Note>,
}

impl Controller {
    /// Finds out what a pod's instance should be. `entry` is the one that there is.
    pub(super) fn wish(&self, key: &PodKey, pod: &Pod, entry: Option<&Entry>) -> Wish {
        let mut wish = Wish::default();
        // The watch is of pods of our nodes.
        let Some(pool) = self.pools.of(pod) else { return wish };
        let demand = match Demand::read(pod, &self.settings.cluster, pool.node()) {
            Ok(mut demand) => {
                pool.complete(&mut demand);
                demand
            }
            Err(refusal) => {
                self.rules.need_nothing(key);
                wish.desired = Some(Err(refusal));
                return wish;
            }
        };
        self.rules.need(key, &demand);
        let Some(catalog) = self.catalog.catalog() else { return wish };
        let catalog = pool.view(&catalog);
        let known = Known {
            pod_ips: addresses(pod, entry),
            host_ip: self.settings.host_ip,
            capacity: package_capacity(&catalog, &demand),
        };
        let environment = env::resolve(pod, &self.sources(key, pod), &known);
        wish.warn(environment.warnings);
        let environment = match environment.outcome {
            Outcome::Complete(environment) => environment,
            Outcome::Waiting(_) => return wish,
            Outcome::Refused(refusal) => {
                wish.desired = Some(Err(refusal));
                return wish;
            }
        };
        wish.resolve(self, pod, entry, (demand, &catalog, environment));
        wish
    }

    /// The ConfigMaps, Secrets and Services that a pod's environment is made of. They are followed from now on.
    fn sources(&self, key: &PodKey, pod: &Pod) -> Sources {
        let references = env::references(pod);
        let names = |kind| {
            let of_kind = move |reference: &&Reference| reference.kind == kind;
            references.iter().filter(of_kind).map(|reference| &*reference.name)
        };
        self.references.follow(key, names(ReferenceKind::ConfigMap), names(ReferenceKind::Secret));
        let config_maps: BTreeMap<_, _> = names(ReferenceKind::ConfigMap)
            .map(|name| (name.into(), source(self.references.config_map(&key.namespace, name))))
            .collect();
        let secrets: BTreeMap<_, _> = names(ReferenceKind::Secret)
            .map(|name| (name.into(), source(self.references.secret(&key.namespace, name))))
            .collect();
        Sources { config_maps, secrets, services: Some(self.services.of_namespace(&key.namespace)) }
    }
}

impl Wish {
    fn resolve(
        &mut self,
        controller: &Controller,
        pod: &Pod,
        entry: Option<&Entry>,
        (demand, catalog, environment): (Demand, &Catalog, Environment),
    ) {
        let settings = &controller.settings;
        let directory = controller.services.directory(
            &controller.instances,
            &settings.cluster,
            settings.default_load_balancer,
        );
        let membership = directory.membership(&Member::of(pod));
        controller.services.tell(&controller.events, directory.notes().iter().chain(&membership.notes));
        let label = demand.tags.get(tag::CNS_SERVICES).and_then(TagValue::as_str).map(str::to_owned);
        let cns = wanted(label.as_deref(), &membership.entries);

        let mut desired = match Desired::resolve(demand.clone(), catalog, environment) {
            Ok(desired) => desired,
            Err(refusal) => {
                use RefusalReason::{Image, Network, Package};
                if matches!(refusal.reason, Image | Network | Package) {
                    controller.catalog.missed(&demand);
                }
                let pool = controller.pools.of(pod);
                let refusal = pool.map_or(refusal.clone(), |pool| pool.explain(refusal, &demand));
                self.desired = Some(Err(refusal));
                return;
            }
        };
        let merge = cns.against(&entry.map(|entry| entry.expected().tags.clone()).unwrap_or_default());
        self.warn(merge.conflicts.iter().map(|conflict| Warning::new(CNS_CONFLICT, conflict.to_string())));
        self.warn(std::mem::take(&mut desired.warnings));
        if let Some(entry) = entry {
            let drift = drift::plan(&desired, entry.expected(), CnsTags::Elsewhere);
            self.warn(drift.warnings);
            self.drift = with_tags(drift.steps, entry, merge.change.set, &merge.change.remove);
        } else {
            desired.request.tags.remove(tag::CNS_SERVICES);
            desired.request.tags.extend(merge.change.set);
        }
        self.desired = Some(Ok(desired));
    }

    fn warn(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        let note = |Warning { reason, message }| Note { severity: Severity::Warning, reason, message };
        self.notes.extend(warnings.into_iter().map(note));
    }
}

/// The reason of events about entries of `triton.cns.services` that were not taken.
const CNS_CONFLICT: &str = "CNSConflict";

/// The steps with more tags to write and to remove, still with one write that adds.
fn with_tags(mut steps: Vec<Step>, entry: &Entry, set: Tags, remove: &[&'static str]) -> Vec<Step> {
    let id = entry.id();
    if !set.is_empty() {
        let added = steps.iter_mut().find_map(|step| match step {
            Step::AddTags { tags, .. } => Some(tags),
            _ => None,
        });
        match added {
            Some(tags) => tags.extend(set),
            None => steps.push(Step::AddTags { id, tags: set }),
        }
    }
    steps.extend(remove.iter().map(|key| Step::RemoveTag { id, key: (*key).to_owned() }));
    steps
}

fn source<K>(read: Read<K>) -> Source<K> {
    match read {
        Read::Known(object) => Source::Present(object),
        Read::Absent => Source::Absent,
        Read::NotReadYet(_) => Source::Unknown,
    }
}

/// The addresses of the instance, the pod's own first.
fn addresses(pod: &Pod, entry: Option<&Entry>) -> Vec<IpAddr> {
    let Some(entry) = entry else { return Vec::new() };
    let instance = entry.observed();
    let own = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse().ok());
    let own: Option<IpAddr> = own.filter(|ip| instance.ips.contains(ip)).or(instance.primary_ip);
    let others = instance.ips.iter().copied().filter(|ip| Some(*ip) != own);
    own.into_iter().chain(others).collect()
}

/// What the pod's instance has by its package; nothing where that cannot be told.
fn package_capacity(catalog: &Catalog, demand: &Demand) -> Resources {
    let package = catalog.image(&demand.image).and_then(|image| catalog.package(&demand.package, &image));
    package.map(|package| capacity(&package)).unwrap_or_default()
}
