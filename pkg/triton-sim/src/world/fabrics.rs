//! VLANs of an account's fabric (reference 2.22).

use triton::id::AccountId;

use super::World;

/// A VLAN of an account's fabric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// Its number.
    pub vlan_id: u16,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
}

impl World {
    /// Adds a VLAN to the fabric of an account; one of the same number is replaced.
    pub fn add_vlan(&mut self, owner: AccountId, vlan: Vlan) {
        self.networks.vlans.insert((owner, vlan.vlan_id), vlan);
    }
}
