//! All records of all instances, as they are answered (reference 3.5, 3.6).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;
use triton::id::InstanceId;
use uuid::Uuid;

use super::names::dns_names;
use super::records::{Data, RecordSet, Records};
use super::zones::ZoneConfig;

/// Reverse zones stay when they are empty, so that an address without a name is still known not to exist.
/// With more zones than these the empty ones go.
const MAX_ZONES: usize = 4096;

/// The zones with their records, and the records of each instance.
#[derive(Debug)]
pub(super) struct Database {
    zones: BTreeMap<Arc<str>, Zone>,
    instances: HashMap<InstanceId, Records>,
    serial: u32,
}

/// A zone. Several instances may have records of the same name.
#[derive(Debug)]
pub(super) struct Zone {
    serial: u32,
    is_forward: bool,
    sets: BTreeMap<Key, Arc<[Data]>>,
}

/// A name with its labels in reverse order, such as `<account>.svc.web`, so that what is below a name comes
/// next to it; and whose records they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    path: Box<str>,
    instance: InstanceId,
}

impl Key {
    /// Comes before all keys of this path.
    fn first(path: impl Into<Box<str>>) -> Self {
        Self { path: path.into(), instance: Uuid::nil().into() }
    }

    /// Comes after all keys of this path.
    fn last(path: impl Into<Box<str>>) -> Self {
        Self { path: path.into(), instance: Uuid::max().into() }
    }
}

fn reversed(name: &str) -> String {
    let labels: Vec<&str> = name.rsplit('.').collect();
    labels.join(".")
}

impl Database {
    /// The forward zones without any instance, but with these records of the operator, which stay.
    pub(super) fn new(config: &ZoneConfig, operator: &[RecordSet], now: Timestamp) -> Self {
        let serial = serial_at(now);
        let zone = || Zone { serial, is_forward: true, sets: BTreeMap::new() };
        let mut zones: BTreeMap<_, _> =
            config.zones().iter().map(|forward| (forward.name.shared(), zone())).collect();
        for set in operator {
            if let Some(zone) = zones.get_mut(&set.zone) {
                zone.sets.insert(Key::first(reversed(&set.name)), Arc::clone(&set.data));
            }
        }
        Self { zones, instances: HashMap::new(), serial }
    }

    /// The serial number for the next commit: greater than all before, and that of the time if it can be.
    pub(super) fn next_serial(&self, now: Timestamp) -> u32 {
        serial_at(now).max(self.serial.wrapping_add(1))
    }

    /// Replaces the records of these instances; an instance without records is forgotten. Zones in which
    /// something differs get the serial number.
    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = (InstanceId, Records)>, serial: u32) {
        self.serial = serial;
        for (instance, records) in changes {
            let old = self.instances.remove(&instance).unwrap_or_default();
            self.remove_missing(instance, &old, &records, serial);
            for set in records.sets() {
                let key = Key { path: reversed(&set.name).into(), instance };
                let empty = || Zone { serial, is_forward: false, sets: BTreeMap::new() };
                let zone = self.zones.entry(Arc::clone(&set.zone)).or_insert_with(empty);
                if zone.sets.insert(key, Arc::clone(&set.data)).as_ref() != Some(&set.data) {
                    zone.serial = serial;
                }
            }
            if !records.is_empty() {
                self.instances.insert(instance, records);
            }
        }
        if self.zones.len() > MAX_ZONES {
            self.zones.retain(|_, zone| zone.is_forward || !zone.sets.is_empty());
        }
    }

    fn remove_missing(&mut self, instance: InstanceId, old: &Records, new: &Records, serial: u32) {
        let kept: HashSet<_> = new.sets().iter().map(|set| (&set.zone, &set.name)).collect();
        for set in old.sets().iter().filter(|set| !kept.contains(&(&set.zone, &set.name))) {
            if let Some(zone) = self.zones.get_mut(&set.zone) {
                zone.sets.remove(&Key { path: reversed(&set.name).into(), instance });
                zone.serial = serial;
            }
        }
    }

    /// The instances that have records.
    pub(super) fn instances(&self) -> impl Iterator<Item = InstanceId> {
        self.instances.keys().copied()
    }

    /// The `dns_names` of an instance (reference 2.11), none when it has no records.
    pub(super) fn dns_names(&self, instance: InstanceId) -> Vec<String> {
        self.instances.get(&instance).map(|records| dns_names(instance, records)).unwrap_or_default()
    }

    /// The zone that a full name in lower case is in, with the zone's name and the name in it, which is
    /// empty for the zone itself. The longest zone counts.
    pub(super) fn zone_of<'a>(&self, name: &'a str) -> Option<(&Zone, &'a str, &'a str)> {
        let starts = std::iter::once(0).chain(name.match_indices('.').map(|(dot, _)| dot + 1));
        starts.into_iter().find_map(|start| {
            let (below, zone_name) = name.split_at_checked(start)?;
            let zone = self.zones.get(zone_name)?;
            Some((zone, zone_name, below.strip_suffix('.').unwrap_or(below)))
        })
    }
}

impl Zone {
    /// The serial number of its last change.
    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// The records of a name, those of one instance after those of another.
    pub(super) fn records(&self, name: &str) -> impl Iterator<Item = &Data> {
        let path = reversed(name);
        let sets = self.sets.range(Key::first(path.as_str())..=Key::last(path.as_str()));
        sets.flat_map(|(_, data)| data.iter())
    }

    /// Whether a name has records, or names below it do. The zone itself always exists.
    pub(super) fn exists(&self, name: &str) -> bool {
        let path = reversed(name);
        // The character after the dot: what is between the two keys starts with the path and a dot.
        let (below, after) = (Key::first(format!("{path}.")), Key::first(format!("{path}/")));
        name.is_empty()
            || self.records(name).next().is_some()
            || self.sets.range(below..after).next().is_some()
    }

    /// All records with their names in the zone.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, &Data)> {
        self.sets.iter().flat_map(|(key, data)| data.iter().map(|data| (reversed(&key.path), data)))
    }
}

/// The serial number that the real CNS gives a zone at a time: a count of ten seconds, with 31 days in every
/// month.
fn serial_at(now: Timestamp) -> u32 {
    let time = Offset::UTC.to_datetime(now);
    let months = (i64::from(time.year()) - 1900) * 12 + i64::from(time.month()) - 1;
    let hours = (months * 31 + i64::from(time.day()) - 1) * 24 + i64::from(time.hour());
    let tens = (hours * 60 + i64::from(time.minute())) * 6 + i64::from(time.second()) / 10;
    u32::try_from(tens).unwrap_or_default()
}
