//! NICs of instances (reference 2.19).

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, InstanceId};

use super::World;
use super::create::Interface;
use super::error::WorldError;
use super::machine::{Caller, Mac, Machine, Nic};
use super::networks::NetworkRef;
use super::params::{self, Params};
use super::tasks::Task;
use crate::view::VmState;

/// The most NICs of one instance. The bound is ours.
const MAX_NICS: usize = 32;

impl World {
    /// The NICs of an instance that NAPI knows: those it has and those it will have. None of a destroyed one.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn list_nics(
        &self,
        owner: AccountId,
        id: InstanceId,
    ) -> Result<impl Iterator<Item = (&Nic, &'static str)>, WorldError> {
        let machine = self.machine(owner, id)?;
        let nics = machine.nics.iter().chain(&machine.pending_nics).filter(|_| machine.is_active());
        Ok(nics.map(|nic| (nic, machine.nic_state(nic))))
    }

    /// One NIC of an instance and its state. `mac` is twelve digits without colons.
    ///
    /// # Errors
    ///
    /// 404, 409 for a malformed address.
    pub fn nic(
        &self,
        owner: AccountId,
        id: InstanceId,
        mac: &str,
    ) -> Result<(&Nic, &'static str), WorldError> {
        let is_mac = mac.len() == 12 && mac.bytes().all(|b| b.is_ascii_hexdigit());
        let Some(mac) = mac.parse::<Mac>().ok().filter(|_| is_mac) else {
            return Err(WorldError::invalid_argument("mac has invalid format"));
        };
        let nic = self.list_nics(owner, id)?.find(|(nic, _)| nic.mac == mac);
        nic.ok_or_else(|| WorldError::not_found("nic not found"))
    }

    /// Adds a NIC: `network`, which is an id or an object, and optionally `primary`. The instance gets it in a job and
    /// reboots.
    ///
    /// # Errors
    ///
    /// 302 with the NIC it has on that network already; 404, 410; 409 for a bad network or address; 507 when the
    /// network is full.
    pub fn add_nic(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<Nic, WorldError> {
        let interface = match params.get("network") {
            None | Some(Value::Null) => {
                return Err(WorldError::missing_parameter("network must be specified"));
            }
            Some(Value::String(text)) => match text.parse() {
                Ok(network) => Interface { network, ip: None },
                Err(_) => return Err(WorldError::invalid_argument("network argument has invalid format")),
            },
            Some(Value::Object(object)) => self.interface(owner, object)?,
            Some(_) => {
                let message = "network argument must be a network object or string";
                return Err(WorldError::invalid_argument(message));
            }
        };
        self.machine(owner, id)?;
        // Members of pools may be named here, though lists hide them.
        let network = self.networks.find(interface.network).filter(|network| match network {
            NetworkRef::Network(network) => network.owner.is_none_or(|other| other == owner),
            NetworkRef::Pool(pool) => pool.owner.is_none_or(|other| other == owner),
        });
        if network.is_none() {
            return Err(WorldError::invalid_argument("network not found"));
        }
        let existing = self.list_nics(owner, id)?.find(|(nic, _)| nic.network == interface.network);
        if let Some(mac) = existing.map(|(nic, _)| nic.mac) {
            return Err(WorldError::NicExists { instance: id, mac });
        }
        self.check_wanted_address(&interface)?;
        let machine = self.machine_for(owner, id, "add_nics")?;
        if !machine.is_active() {
            // A failed instance has nothing that a NIC could be added to.
            return Err(WorldError::invalid_argument("Server does not support that network"));
        }
        if machine.nics.len() + machine.pending_nics.len() >= MAX_NICS {
            let message = format!("an instance can have {MAX_NICS} NICs at most");
            return Err(WorldError::invalid_argument(message));
        }
        let made = self.networks.make_nic(&mut self.rng, owner, id, interface.network, interface.ip);
        let Some(mut nic) = made else {
            let message = format!("no more free IPs in {}", interface.network);
            return Err(WorldError::refused(507, "SubnetFull", message, Vec::new()));
        };
        nic.primary = params::is_true(params, "primary");
        if let Err(error) = self.enqueue(now, id, Task::AddNic(nic.mac), caller) {
            self.networks.release(&nic, id);
            return Err(error);
        }
        self.edit_silently(id, |machine| machine.pending_nics.push(nic.clone()));
        Ok(nic)
    }

    /// Removes a NIC in a job; the instance reboots.
    ///
    /// # Errors
    ///
    /// 404, 410, 409 for a malformed address.
    pub fn remove_nic(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        mac: &str,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let mac = self.nic(owner, id, mac)?.0.mac;
        self.machine_for(owner, id, "remove_nics")?;
        self.enqueue(now, id, Task::RemoveNic(mac), caller).map(|_| ())
    }

    /// An instance gets a NIC that was made for it.
    pub(super) fn nic_is_added(&mut self, at: Timestamp, machine: &Machine, mac: Mac) -> bool {
        let Some(nic) = machine.pending_nics.iter().find(|nic| nic.mac == mac).cloned() else {
            return false;
        };
        self.edit_nics(at, machine, |machine| {
            machine.pending_nics.retain(|nic| nic.mac != mac);
            if nic.primary {
                machine.nics.iter_mut().for_each(|other| other.primary = false);
            }
            machine.nics.push(nic);
        });
        true
    }

    /// An instance does not get a NIC that was made for it.
    pub(super) fn nic_is_not_added(&mut self, machine: &Machine, mac: Mac) {
        if let Some(nic) = machine.pending_nics.iter().find(|nic| nic.mac == mac) {
            self.networks.release(nic, machine.id);
            self.edit_silently(machine.id, |machine| machine.pending_nics.retain(|nic| nic.mac != mac));
        }
    }

    /// An instance loses a NIC. When that was the primary one, the first of the others is.
    pub(super) fn nic_is_removed(&mut self, at: Timestamp, machine: &Machine, mac: Mac) -> bool {
        let Some(nic) = machine.nics.iter().find(|nic| nic.mac == mac) else {
            return false;
        };
        self.networks.release(nic, machine.id);
        self.edit_nics(at, machine, |machine| {
            machine.nics.retain(|nic| nic.mac != mac);
            if !machine.nics.iter().any(|nic| nic.primary)
                && let Some(first) = machine.nics.first_mut()
            {
                first.primary = true;
            }
        });
        true
    }

    /// Changes the NICs of an instance, which reboots for it if it runs.
    fn edit_nics(&mut self, at: Timestamp, machine: &Machine, change: impl FnOnce(&mut Machine)) {
        let running = machine.stored_state == VmState::Running;
        let reboot = ["nics", "boot_timestamp", "pid"];
        let properties = if running { &reboot[..] } else { &reboot[..1] };
        self.edit(at, machine.id, properties, |machine| {
            change(machine);
            if running {
                machine.booted = Some(at);
            }
        });
    }
}

#[cfg(test)]
mod tests;
