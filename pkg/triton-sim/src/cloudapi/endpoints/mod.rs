//! The endpoints: one file for each resource, and which function answers which operation.

use super::call::Call;
use super::error::ApiError;
use super::respond::Answer;
use super::routes::Operation as Op;

mod access_keys;
mod account;
mod datacenters;
mod disks;
mod fabrics;
mod firewall;
mod images;
mod keys;
mod machines;
mod metadata;
mod migrations;
mod networks;
mod nics;
mod packages;
mod policies;
mod role_tags;
mod roles;
mod snapshots;
mod tags;
mod users;
mod vnc;
mod volumes;

pub(super) use datacenters::open;
pub(super) use migrations::{is_watched, watch};

/// Answers a request that its sender may make.
pub(super) fn dispatch(call: &Call<'_>) -> Answer {
    let answer = endpoint(call.operation)(call)?;
    Ok(role_tags::with_header(call, answer))
}

fn endpoint(operation: Op) -> fn(&Call<'_>) -> Answer {
    match operation {
        Op::Docs | Op::Ping | Op::Changefeed => |_| Err(ApiError::internal("Internal Error")),
        Op::GetAccount => account::get,
        Op::UpdateAccount => account::update,
        Op::GetProvisioningLimits => account::limits,
        Op::GetConfig => account::config,
        Op::UpdateConfig => account::update_config,
        Op::ListDatacenters => datacenters::list,
        Op::GetDatacenter => datacenters::get,
        Op::ListServices => datacenters::services,
        Op::ListKeys => keys::list,
        Op::CreateKey => keys::create,
        Op::GetKey => keys::get,
        Op::DeleteKey => keys::delete,
        Op::ListUsers => users::list,
        Op::CreateUser => users::create,
        Op::GetUser => users::get,
        Op::UpdateUser => users::update,
        Op::DeleteUser => users::delete,
        Op::ChangeUserPassword => users::change_password,
        Op::ListUserKeys => users::list_keys,
        Op::CreateUserKey => users::create_key,
        Op::GetUserKey => users::get_key,
        Op::DeleteUserKey => users::delete_key,
        Op::ListRoles => roles::list,
        Op::CreateRole => roles::create,
        Op::GetRole => roles::get,
        Op::UpdateRole => roles::update,
        Op::DeleteRole => roles::delete,
        Op::ListPolicies => policies::list,
        Op::CreatePolicy => policies::create,
        Op::GetPolicy => policies::get,
        Op::UpdatePolicy => policies::update,
        Op::DeletePolicy => policies::delete,
        Op::ListAccessKeys | Op::ListUserAccessKeys => access_keys::list,
        Op::CreateAccessKey | Op::CreateUserAccessKey => access_keys::create,
        Op::GetAccessKey | Op::GetUserAccessKey => access_keys::get,
        Op::DeleteAccessKey | Op::DeleteUserAccessKey => access_keys::delete,
        Op::ListImages => images::list,
        Op::CreateImageFromMachine => images::create,
        Op::GetImage => images::get,
        Op::UpdateImage => images::update,
        Op::DeleteImage => images::delete,
        Op::ListPackages => packages::list,
        Op::GetPackage => packages::get,
        Op::ListMachines => machines::list,
        Op::CreateMachine => machines::create,
        Op::GetMachine => machines::get,
        Op::UpdateMachine => machines::update,
        Op::DeleteMachine => machines::delete,
        Op::MachineAudit => machines::audit,
        Op::ListMachineTags => tags::list,
        Op::AddMachineTags => tags::add,
        Op::ReplaceMachineTags => tags::replace,
        Op::DeleteMachineTags => tags::delete_all,
        Op::GetMachineTag => tags::get,
        Op::DeleteMachineTag => tags::delete,
        Op::ListMachineMetadata => metadata::list,
        Op::AddMachineMetadata => metadata::add,
        Op::DeleteAllMachineMetadata => metadata::delete_all,
        Op::GetMachineMetadata => metadata::get,
        Op::DeleteMachineMetadata => metadata::delete,
        Op::ListMachineSnapshots => snapshots::list,
        Op::CreateMachineSnapshot => snapshots::create,
        Op::GetMachineSnapshot => snapshots::get,
        Op::StartMachineFromSnapshot => snapshots::start,
        Op::DeleteMachineSnapshot => snapshots::delete,
        Op::ListMachineDisks => disks::list,
        Op::CreateMachineDisk => disks::create,
        Op::GetMachineDisk => disks::get,
        Op::ResizeMachineDisk => disks::resize,
        Op::DeleteMachineDisk => disks::delete,
        Op::ListNics => nics::list,
        Op::AddNic => nics::add,
        Op::GetNic => nics::get,
        Op::RemoveNic => nics::remove,
        Op::MigrateMachineEstimate => migrations::estimate,
        Op::Migrate => migrations::act,
        Op::ListMigrations => migrations::list,
        Op::GetMigration => migrations::get,
        Op::ConnectMachineVNC => vnc::connect,
        Op::ListMachineFirewallRules => firewall::of_machine,
        Op::ListFirewallRules => firewall::list,
        Op::CreateFirewallRule => firewall::create,
        Op::GetFirewallRule => firewall::get,
        Op::UpdateFirewallRule => firewall::update,
        Op::DeleteFirewallRule => firewall::delete,
        Op::EnableFirewallRule => firewall::enable,
        Op::DisableFirewallRule => firewall::disable,
        Op::ListFirewallRuleMachines => machines::of_firewall_rule,
        Op::ListNetworks => networks::list,
        Op::GetNetwork => networks::get,
        Op::ListNetworkIPs => networks::list_addresses,
        Op::GetNetworkIP => networks::get_address,
        Op::UpdateNetworkIP => networks::update_address,
        Op::ListFabricVLANs => fabrics::list_vlans,
        Op::CreateFabricVLAN => fabrics::create_vlan,
        Op::GetFabricVLAN => fabrics::get_vlan,
        Op::UpdateFabricVLAN => fabrics::update_vlan,
        Op::DeleteFabricVLAN => fabrics::delete_vlan,
        Op::ListFabricNetworks => fabrics::list_networks,
        Op::CreateFabricNetwork => fabrics::create_network,
        Op::GetFabricNetwork => fabrics::get_network,
        Op::UpdateFabricNetwork => fabrics::update_network,
        Op::DeleteFabricNetwork => fabrics::delete_network,
        Op::ListVolumeSizes => volumes::sizes,
        Op::ListVolumes => volumes::list,
        Op::CreateVolume => volumes::create,
        Op::GetVolume => volumes::get,
        Op::UpdateVolume => volumes::update,
        Op::DeleteVolume => volumes::delete,
        Op::SetRoleTags => role_tags::set,
    }
}
