//! The addresses of one network: who has which, and which is given out next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use triton::id::{AccountId, InstanceId};

/// An address that NAPI knows: allocated, reserved or managed (reference 2.22).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Address {
    /// Whether it is only given out when asked for by name.
    pub reserved: bool,
    /// Whether the data centre itself uses it: a gateway, a resolver, the broadcast address.
    pub managed: bool,
    /// Whose it is.
    pub owner: Option<AccountId>,
    /// The instance that has it.
    pub instance: Option<InstanceId>,
}

/// The addresses of a network.
///
/// An address that was never used comes first, in ascending order; after those the one that has been free for
/// longest. So an address is not reused sooner than need be, and the order depends on nothing but the requests.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    known: BTreeMap<Ipv4Addr, Address>,
    first: Ipv4Addr,
    last: Ipv4Addr,
    /// The lowest address of the range that was never given out; `None` when there is none left.
    next: Option<Ipv4Addr>,
    /// Addresses that were used before, by when they became free.
    freed: BTreeSet<(u64, Ipv4Addr)>,
    freed_at: BTreeMap<Ipv4Addr, u64>,
    releases: u64,
}

impl Addresses {
    /// The addresses of a network whose instances get `first` to `last`.
    pub(super) fn new(first: Ipv4Addr, last: Ipv4Addr, managed: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        let address = Address { reserved: true, managed: true, ..Address::default() };
        Self {
            known: managed.into_iter().map(|ip| (ip, address)).collect(),
            first,
            last,
            next: Some(first),
            freed: BTreeSet::new(),
            freed_at: BTreeMap::new(),
            releases: 0,
        }
    }

    /// Changes the range that addresses are given out from; those in use stay so.
    pub(super) fn set_range(&mut self, first: Ipv4Addr, last: Ipv4Addr) {
        (self.first, self.last, self.next) = (first, last, Some(first));
        self.freed.clear();
        self.freed_at.clear();
    }

    /// What is known of an address.
    pub(super) fn get(&self, ip: Ipv4Addr) -> Option<&Address> {
        self.known.get(&ip)
    }

    /// The known addresses in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, &Address)> {
        self.known.iter().map(|(ip, address)| (*ip, address))
    }

    /// How many addresses are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether an instance has any of the addresses.
    pub(super) fn in_use(&self) -> bool {
        self.known.values().any(|address| address.instance.is_some())
    }

    /// Gives an address to an instance; `None` when there is none left.
    pub(super) fn allocate(&mut self, owner: AccountId, instance: InstanceId) -> Option<Ipv4Addr> {
        let ip = self.never_used().or_else(|| {
            let (_, ip) = self.freed.pop_first()?;
            self.freed_at.remove(&ip);
            Some(ip)
        })?;
        self.known.insert(ip, Address { owner: Some(owner), instance: Some(instance), ..Address::default() });
        Some(ip)
    }

    fn never_used(&mut self) -> Option<Ipv4Addr> {
        loop {
            let ip = self.next.filter(|ip| *ip <= self.last)?;
            self.next = ip.to_bits().checked_add(1).map(Ipv4Addr::from_bits);
            if !self.known.contains_key(&ip) {
                return Some(ip);
            }
        }
    }

    /// Gives a certain address to an instance, and says whether it was free.
    pub(super) fn take(&mut self, ip: Ipv4Addr, owner: AccountId, instance: InstanceId) -> bool {
        let address = self.known.get(&ip).copied().unwrap_or_default();
        let foreign = address.owner.is_some_and(|other| other != owner);
        if address.managed || address.instance.is_some() || foreign {
            return false;
        }
        self.not_free(ip);
        self.known.insert(ip, Address { owner: Some(owner), instance: Some(instance), ..address });
        true
    }

    /// Takes an address back from an instance. A reserved one stays reserved for its account.
    pub(super) fn release(&mut self, ip: Ipv4Addr, instance: InstanceId) {
        let Some(address) = self.known.get_mut(&ip).filter(|address| address.instance == Some(instance))
        else {
            return;
        };
        address.instance = None;
        if !address.reserved {
            self.known.remove(&ip);
            self.now_free(ip);
        }
    }

    /// Reserves an address for an account, or ends that. Managed addresses are left alone.
    pub(super) fn set_reserved(&mut self, ip: Ipv4Addr, owner: AccountId, reserved: bool) {
        let address = self.known.get(&ip).copied().unwrap_or_default();
        if address.managed {
            return;
        }
        if reserved || address.instance.is_some() {
            self.not_free(ip);
            self.known.insert(ip, Address { reserved, owner: Some(owner), ..address });
        } else if self.known.remove(&ip).is_some() {
            self.now_free(ip);
        }
    }

    fn not_free(&mut self, ip: Ipv4Addr) {
        if let Some(at) = self.freed_at.remove(&ip) {
            self.freed.remove(&(at, ip));
        }
    }

    fn now_free(&mut self, ip: Ipv4Addr) {
        let was_passed = self.next.is_none_or(|next| ip < next);
        if was_passed && (self.first..=self.last).contains(&ip) {
            self.releases += 1;
            self.freed.insert((self.releases, ip));
            self.freed_at.insert(ip, self.releases);
        }
    }
}

#[cfg(test)]
mod tests;
