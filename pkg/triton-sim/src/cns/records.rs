//! The records that CNS makes of an instance (reference 3.2, 3.3).

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::listing::{Listing, Service, listing};
use super::names::{dnsify, is_name, label_of, reverse};
use super::zones::{ForwardZone, Networks, ZoneConfig};
use crate::view::{InstanceView, NicView};

/// NIC tags whose NICs are never published (reference 3.1).
const HIDDEN_NIC_TAGS: [&str; 2] = ["admin", "manta"];

/// How many names and records together are made of one instance, so that no tag can fill the memory. What is
/// beyond is left out. An ordinary instance has about 30.
pub const MAX_RECORDS: usize = 4096;

/// All records of one instance. In order: the forward zones as they are configured, then the reverse zones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    sets: Vec<RecordSet>,
}

/// The records of one name. No two sets of an instance have the same name and zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// The zone, such as `dc1.triton.zone`.
    pub zone: Arc<str>,
    /// The name without the zone, such as `web.svc.<account>`; lower case.
    pub name: Arc<str>,
    /// The records; not empty.
    pub data: Arc<[Data]>,
}

/// A record without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// An address.
    A(Ipv4Addr),
    /// A text of at most 255 bytes.
    Txt(Arc<str>),
    /// A port of a service on an instance. CNS publishes no priority and no weight of its own
    /// (reference 3.3).
    Srv {
        /// The port.
        port: u16,
        /// The full name of the instance.
        target: Arc<str>,
    },
    /// The full name that this one stands for.
    Cname(Arc<str>),
    /// The full name of the instance that has the address.
    Ptr(Arc<str>),
}

impl Records {
    /// The sets in order.
    pub fn sets(&self) -> &[RecordSet] {
        &self.sets
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

/// The records of an instance; none when CNS does not list it. `node_down` is whether CNS takes its compute
/// node for down, which it does an hour after the last heartbeat (reference 3.4).
pub fn records_of(view: &InstanceView, config: &ZoneConfig, node_down: bool) -> Records {
    let Some(listing) = listing(view, node_down) else { return Records::default() };
    let instance = Instance::new(view, config, listing);
    let mut sets = Sets { done: Vec::new(), index: HashMap::new(), room: MAX_RECORDS };
    for zone in config.zones() {
        let zone_name = zone.name.shared();
        let nics = instance.nics_of(zone, config);
        if !nics.is_empty() {
            instance.publish(&mut sets, zone, &Selection::all(view, zone, nics));
        }
        let cname = Data::Cname(format!("cmon.{zone_name}").into());
        sets.add(&zone_name, format!("{}.cmon", view.id), vec![cname]);
    }
    for nic in &instance.nics {
        let own = config.zones_of(nic.network).map(|zone| instance.own_name(zone));
        let ptr = match &instance.listing.reverse_ptr {
            Some(name) => own.map(|_| name.clone()).next(),
            None => own.min_by_key(String::len),
        };
        let (name, zone) = reverse(nic.ip);
        if let Some(ptr) = ptr.filter(|ptr| is_name(ptr)) {
            sets.add(&zone.into(), name, vec![Data::Ptr(ptr.into())]);
        }
    }
    sets.finish()
}

/// An instance with everything that its names are made of.
struct Instance<'a> {
    listing: Listing,
    nics: Vec<&'a NicView>,
    id: Arc<str>,
    /// The accounts that names end in: the id, then the login where it is used.
    accounts: Vec<String>,
    /// The instance's names below `inst`, the most readable last.
    names: Vec<String>,
}

/// NICs of a zone, and those of them that also have names qualified by their network.
struct Selection<'a> {
    nics: Vec<&'a NicView>,
    qualified: Vec<(String, Vec<&'a NicView>)>,
}

impl<'a> Selection<'a> {
    /// Only the wildcard zone has network-qualified names, and only for networks of the account itself.
    fn all(view: &InstanceView, zone: &ForwardZone, nics: Vec<&'a NicView>) -> Self {
        let mut qualified: Vec<(String, Vec<&NicView>)> = Vec::new();
        let is_owned = |nic: &NicView| nic.network_owner == Some(view.owner);
        for nic in nics.iter().filter(|nic| zone.networks == Networks::Wildcard && is_owned(nic)) {
            let label = dnsify(&nic.network_name);
            match qualified.iter_mut().find(|(known, _)| *known == label) {
                Some((_, nics)) => nics.push(nic),
                None => qualified.push((label, vec![nic])),
            }
        }
        Self { nics, qualified }
    }
}

impl<'a> Instance<'a> {
    fn new(view: &'a InstanceView, config: &ZoneConfig, listing: Listing) -> Self {
        let login = config.use_login().then(|| label_of(&view.owner_login)).flatten();
        let alias = config.use_alias().then(|| label_of(&view.alias)).flatten();
        let accounts: Vec<String> = [view.owner.to_string()].into_iter().chain(login).collect();
        let id: Arc<str> = view.id.to_string().into();
        let labels = [id.as_ref().to_owned()].into_iter().chain(alias);
        let names = labels
            .flat_map(|label| accounts.iter().map(move |account| format!("{label}.inst.{account}")))
            .collect();
        let is_hidden = |nic: &NicView| HIDDEN_NIC_TAGS.contains(&&*nic.nic_tag);
        Self { nics: view.nics.iter().filter(|nic| !is_hidden(nic)).collect(), listing, id, accounts, names }
    }

    fn nics_of(&self, zone: &ForwardZone, config: &ZoneConfig) -> Vec<&'a NicView> {
        let is_here = |nic: &&NicView| config.zones_of(nic.network).any(|of_nic| of_nic.name == zone.name);
        self.nics.iter().copied().filter(is_here).collect()
    }

    /// The name that SRV and PTR records show.
    fn own_name(&self, zone: &ForwardZone) -> String {
        format!("{}.{}", self.names.last().map(String::as_str).unwrap_or_default(), zone.name)
    }

    /// Adds the names of the instance and of its services in a zone.
    fn publish(&self, sets: &mut Sets, zone: &ForwardZone, selection: &Selection<'_>) {
        let text = [Data::Txt(Arc::clone(&self.id))];
        for name in &self.names {
            self.publish_name(sets, zone, selection, name, |nics| {
                addresses(nics).chain(text.clone()).collect()
            });
        }
        let target: Arc<str> = self.own_name(zone).into();
        for service in &self.listing.services {
            for account in &self.accounts {
                let name = format!("{}.svc.{account}", service.name);
                self.publish_name(sets, zone, selection, &name, |nics| self.service(service, nics, &target));
            }
        }
    }

    fn publish_name(
        &self,
        sets: &mut Sets,
        zone: &ForwardZone,
        selection: &Selection<'_>,
        name: &str,
        data: impl Fn(&[&NicView]) -> Vec<Data>,
    ) {
        let zone = zone.name.shared();
        let qualified =
            selection.qualified.iter().map(|(label, nics)| (format!("{label}.{name}"), nics.as_slice()));
        for (name, nics) in [(name.to_owned(), selection.nics.as_slice())].into_iter().chain(qualified) {
            sets.add(&zone, name.clone(), data(nics));
            let challenges = self.listing.challenges.iter().map(|text| Data::Txt(Arc::clone(text)));
            sets.add(&zone, format!("_acme-challenge.{name}"), challenges.collect());
        }
    }

    fn service(&self, service: &Service, nics: &[&NicView], target: &Arc<str>) -> Vec<Data> {
        if !self.listing.in_services {
            return vec![Data::Txt(format!("verifying:{}", self.id).into())];
        }
        let ports = service.ports.iter().map(|port| Data::Srv { port: *port, target: Arc::clone(target) });
        addresses(nics).chain([Data::Txt(Arc::clone(&self.id))]).chain(ports).collect()
    }
}

fn addresses(nics: &[&NicView]) -> impl Iterator<Item = Data> {
    nics.iter().map(|nic| Data::A(nic.ip))
}

/// Records being collected, by zone and name.
struct Sets {
    done: Vec<(Arc<str>, String, Vec<Data>)>,
    index: HashMap<(Arc<str>, String), usize>,
    room: usize,
}

impl Sets {
    /// Adds records to a name, if the DNS can have it and there is room. Records that are there already are
    /// not repeated: names may collide once they are made into labels.
    fn add(&mut self, zone: &Arc<str>, name: String, data: Vec<Data>) {
        let cost = 1 + data.len();
        if data.is_empty() || cost > self.room || !is_name(&format!("{name}.{zone}")) {
            return;
        }
        self.room -= cost;
        let key = (Arc::clone(zone), name);
        match self.index.get(&key).and_then(|position| self.done.get_mut(*position)) {
            Some((_, _, known)) => {
                for data in data {
                    if !known.contains(&data) {
                        known.push(data);
                    }
                }
            }
            None => {
                self.index.insert(key.clone(), self.done.len());
                self.done.push((key.0, key.1, data));
            }
        }
    }

    fn finish(self) -> Records {
        let sets = self.done.into_iter();
        let sets =
            sets.map(|(zone, name, data)| RecordSet { zone, name: name.into(), data: data.into() }).collect();
        Records { sets }
    }
}
