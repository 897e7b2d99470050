//! Instances as the services around CloudAPI see them.

use std::sync::Arc;

use triton::auth::PublicKey;
use triton::id::{AccountId, InstanceId};

use super::machine::{Machine, Nic};
use super::{World, metadata};
use crate::view::{InstanceView, NicView};

impl World {
    /// An instance with what CNS, CMON and the guests want to know of its account, image, networks and node.
    pub fn instance_view(&self, id: InstanceId) -> Option<InstanceView> {
        self.view_of(self.machine_by_id(id)?)
    }

    /// All instances that are neither destroyed nor failed.
    pub fn instance_views(&self) -> Vec<Arc<InstanceView>> {
        let active = self.machines().filter(|machine| machine.is_active());
        active.filter_map(|machine| self.view_of(machine)).map(Arc::new).collect()
    }

    fn view_of(&self, machine: &Machine) -> Option<InstanceView> {
        let account = self.account(machine.owner)?;
        let image = self.image_by_id(machine.image);
        Some(InstanceView {
            id: machine.id,
            owner: machine.owner,
            owner_login: account.login.as_str().into(),
            cns_enabled: account.cns_enabled,
            alias: machine.name.clone(),
            state: machine.state(),
            brand: machine.brand.as_str().into(),
            image: machine.image,
            image_name: image.map_or_else(|| "".into(), |image| image.name.clone()),
            image_tags: image.map(|image| image.tags.clone()).unwrap_or_default(),
            package_name: machine.package_name.clone(),
            compute_node: machine.compute_node,
            compute_node_up: self.node_is_up(machine.compute_node),
            memory_mib: machine.memory_mib,
            disk_mib: machine.disk_mib,
            nics: machine.nics.iter().filter_map(|nic| self.nic_view(nic)).collect(),
            tags: machine.tags.clone(),
            metadata: machine
                .metadata
                .iter()
                .map(|(key, value)| (key.clone(), metadata::text(value)))
                .collect(),
            booted: machine.booted,
        })
    }

    fn nic_view(&self, nic: &Nic) -> Option<NicView> {
        let network = self.network_by_id(nic.network)?;
        Some(NicView {
            mac: nic.mac.octets(),
            ip: nic.ip,
            primary: nic.primary,
            network: network.id,
            network_name: network.name.clone(),
            network_owner: network.owner,
            public: network.public,
            nic_tag: network.nic_tag.clone(),
        })
    }

    /// The account of a login and its keys.
    pub fn account_keys(&self, login: &str) -> Option<(AccountId, Vec<PublicKey>)> {
        let account = self.account_by_login(login)?;
        Some((account.id, account.keys.iter().map(|key| key.public.clone()).collect()))
    }
}
