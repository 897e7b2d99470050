//! CreateMachine: what is checked before a row is made and a provision queued (reference 2.14, 7.2).

mod disks;
mod interfaces;
mod mounts;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::grammar::affinity::AffinityRule;
use triton::id::{AccountId, InstanceId};
use uuid::Uuid;

pub(super) use disks::DEFAULT_BLOCK_SIZE;
pub(super) use interfaces::Interface;

use super::World;
use super::account::Account;
use super::actions::{MAX_NAME, MAX_NAME_WITH_CNS, duplicate_name, is_name};
use super::affinity::Wanted;
use super::error::{FieldError, WorldError};
use super::images::Image;
use super::machine::{Brand, Caller, Machine, Metadata, Tags};
use super::packages::Package;
use super::params::{self, Params};
use super::tasks::{Provision, Task};
use super::{metadata, tags};
use crate::view::VmState;

/// The oldest API under which a shared image needs `allow_shared_images` (reference 2.1).
const SHARED_IMAGES_NEED_CONSENT: u64 = 9;

impl World {
    /// Makes an instance of the merged parameters of a request. Its row is there at once, `provisioning`; the rest
    /// follows in a job, whose failure is only ever a state (reference 2.14). `api_major` is the negotiated version.
    ///
    /// # Errors
    ///
    /// 403 over a quota, 404 for an unknown image or package id, 409 for everything else.
    pub fn create_machine(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
        api_major: u64,
        caller: &Caller,
    ) -> Result<Arc<Machine>, WorldError> {
        let account = self.owner(owner)?;
        let image = self.wanted_image(owner, params, api_major)?.clone();
        let Some(package) = params::text(params, "package") else {
            return Err(WorldError::missing_parameter("package must be specified"));
        };
        let package = self.wanted_package(owner, &package)?.clone();
        check_login(account, &image, params)?;
        if !account.approved {
            return Err(invalid("User is not currently approved for provisioning"));
        }
        let brand = disks::brand(&image, &package, params)?;
        let disks = disks::disks(brand, &image, &package, params)?;
        self.check_flags(brand, params)?;
        let interfaces = self.interfaces(owner, &package, params)?;
        check_size(&image, &package)?;
        let cns = account.cns_enabled;
        let mounts = self.wanted_mounts(owner, brand, params, &interfaces)?;
        self.check_interfaces(owner, &image, &interfaces)?;
        // Long names are told apart before the id is drawn, so that a refused request changes nothing.
        if cns && params::text(params, "name").is_some_and(|name| resolved_length(&name) > MAX_NAME_WITH_CNS)
        {
            return Err(invalid(
                "Name cannot be longer than 63 characters, because you have triton_cns_enabled set on your \
                 Account.",
            ));
        }
        self.check_limits(owner, brand.as_str(), Some(&image), &package, None)?;
        let rules = rules(params)?;
        self.check_wanted_addresses(&interfaces)?;
        let (tags, metadata, credentials) = contents(params);
        let name = params::text(params, "name");
        self.check_row(now, owner, name.as_deref(), &tags, &metadata)?;
        let locality = self.locality(owner, params)?;
        if self.machines.active_count() >= self.settings.max_instances {
            return Err(WorldError::overloaded("the simulator has as many instances as it may have"));
        }

        let uuid = self.new_uuid();
        let id = InstanceId::from(uuid);
        let name = resolve_name(name.as_deref(), uuid);
        let volumes = self.mount(now, owner, id, mounts, &interfaces)?;
        let nics = self.make_wanted_nics(owner, id, &interfaces)?;
        let mut machine = Machine {
            id,
            owner,
            name,
            brand,
            stored_state: VmState::Provisioning,
            node_unknown: false,
            image: image.id,
            package: package.id,
            package_name: package.name.clone(),
            memory_mib: package.memory_mib,
            disk_mib: disks.shown_mib,
            deletion_protection: params::is_true(params, "deletion_protection"),
            firewall_enabled: params::is_true(params, "firewall_enabled"),
            docker: false,
            delegate_dataset: params::is_true(params, "delegate_dataset").then_some(true),
            encrypted: params::is_true(params, "encrypted"),
            tags,
            metadata,
            credentials,
            created: now,
            updated: now,
            booted: None,
            destroyed: None,
            nics: Vec::new(),
            pending_nics: nics.iter().filter_map(|nic| nic.made.clone()).collect(),
            compute_node: None,
            disks: Vec::new(),
            flexible_disk_mib: disks.flexible_mib,
            snapshots: Vec::new(),
            volumes,
        };
        machine.disks = disks.make(|| self.new_uuid());
        self.add_account_keys(&mut machine, &image);
        let provision = Provision { nics, rules, locality, encrypted: machine.encrypted };
        self.machines.insert(machine);
        self.enqueue(now, id, Task::Provision(Arc::new(provision)), caller)?;
        let machine = self.machine(owner, id)?.clone();
        let properties = ["alias", "state", "zone_state", "owner_uuid", "tags", "customer_metadata"];
        self.publish(now, machine.clone(), &properties);
        Ok(machine)
    }

    fn wanted_image(
        &self,
        owner: AccountId,
        params: &Params,
        api_major: u64,
    ) -> Result<&Arc<Image>, WorldError> {
        let image = match (params::text(params, "image"), params::text(params, "dataset")) {
            (Some(_), Some(_)) => {
                return Err(invalid("image and dataset are mutually exclusive parameters."));
            }
            (Some(image), None) | (None, Some(image)) => image,
            (None, None) => return Err(WorldError::missing_parameter("image must be specified")),
        };
        let Ok(id) = image.parse() else {
            return Err(invalid(format!("{image} is not a valid image")));
        };
        let found = self.image(owner, id)?;
        if !found.is_active() {
            return Err(invalid(format!("image {image} is not active")));
        }
        let shared = found.owner != owner && !self.is_operator(found.owner) && found.acl.contains(&owner);
        let consent = params::is_true(params, "allow_shared_images");
        if shared && !consent && api_major >= SHARED_IMAGES_NEED_CONSENT {
            return Err(invalid(format!(
                "{image} is a shared image - to provision a shared image you can either clone the image or set \
                 \"allow_shared_images\" to true."
            )));
        }
        Ok(found)
    }

    fn is_operator(&self, account: AccountId) -> bool {
        self.accounts.get(&account).is_some_and(|account| account.operator)
    }

    fn check_flags(&self, brand: Brand, params: &Params) -> Result<(), WorldError> {
        if params.contains_key("bootrom") && brand != Brand::Bhyve {
            return Err(invalid("Only bhyve VMs support \"bootrom\" option"));
        }
        if params::is_true(params, "delegate_dataset") && !self.settings.features.delegate_dataset {
            return Err(invalid(
                "Support for delegated datasets is not enabled (experimental_cloudapi_delegate_dataset in SAPI)",
            ));
        }
        if params::is_truthy(params, "locality") && params::is_truthy(params, "affinity") {
            return Err(invalid("cannot specify both \"locality\" (deprecated) and \"affinity\""));
        }
        Ok(())
    }

    /// What VMAPI checks of the row.
    fn check_row(
        &self,
        now: Timestamp,
        owner: AccountId,
        name: Option<&str>,
        tags: &Tags,
        metadata: &Metadata,
    ) -> Result<(), WorldError> {
        let mut errors = Vec::new();
        if let Some(name) = name {
            let plain = name.replace(SHORT_ID, "00000000");
            if plain.len() > MAX_NAME {
                errors.push(FieldError::invalid("alias", "String is longer than maximum of 189 characters"));
            }
            if !is_name(&plain) {
                errors.push(FieldError::invalid("alias", "String does not match regexp"));
            }
            // With an id in it, it is nobody else's.
            if plain == name && self.name_is_taken(now, owner, name, None) {
                errors.push(duplicate_name());
            }
        }
        errors.extend(tags::check(tags).err());
        errors.extend(metadata::check(metadata).err());
        if errors.is_empty() {
            return Ok(());
        }
        let hints = errors.iter().filter_map(|error| match error.field.split('.').next() {
            Some("alias") => Some("Invalid machine name"),
            Some("tags") => Some("Invalid tags"),
            Some("customer_metadata") => Some("Invalid customer_metadata"),
            _ => None,
        });
        let hints: Vec<&str> = hints.collect();
        Err(WorldError::validation_failed(format!("Invalid VM parameters: {}", hints.join(". ")), errors))
    }

    /// The nodes of the instances that the old parameter `locality` names.
    fn locality(&self, owner: AccountId, params: &Params) -> Result<Wanted, WorldError> {
        let mut wanted = Wanted::default();
        let locality = match params.get("locality") {
            None | Some(Value::Null) => return Ok(wanted),
            Some(Value::Object(locality)) => locality,
            Some(_) => return Err(malformed_locality()),
        };
        let strict = match locality.get("strict") {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(malformed_locality()),
        };
        for (name, same) in [("near", true), ("far", false)] {
            let Some(value) = locality.get(name).filter(|value| !value.is_null()) else {
                continue;
            };
            let ids = params::texts(value).ok_or_else(malformed_locality)?;
            let ids: Result<Vec<InstanceId>, _> = ids.iter().map(|id| id.parse()).collect();
            let ids = ids.map_err(|_| malformed_locality())?;
            let instances = ids.iter().filter_map(|id| self.machines.get(*id));
            let instances = instances.filter(|machine| machine.owner == owner && machine.is_active());
            wanted.add(strict, same, instances.map(|machine| &**machine));
        }
        Ok(wanted)
    }

    /// The account's keys, unless the request has some, for guests that take them from their metadata (reference 2.14).
    fn add_account_keys(&self, machine: &mut Machine, image: &Image) {
        if image.needs_password {
            return;
        }
        let keys = self.accounts.get(&machine.owner).map(|account| account.keys.as_slice());
        let keys: String = keys.unwrap_or_default().iter().map(|key| format!("{}\n", key.openssh)).collect();
        machine.metadata.entry("root_authorized_keys".to_owned()).or_insert(Value::String(keys));
    }

    /// Makes an instance that runs at once, as fixtures and benchmarks want it.
    ///
    /// # Errors
    ///
    /// Those of [`World::create_machine`]. Whether it then really runs depends on placement.
    pub fn create_running_machine(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
    ) -> Result<InstanceId, WorldError> {
        let id = self.create_machine(now, owner, params, 0, &Caller::default())?.id;
        self.finish_active_job(now, id);
        Ok(id)
    }
}

/// The part of a name that the beginning of the instance's id replaces.
const SHORT_ID: &str = "{{shortId}}";

fn resolve_name(name: Option<&str>, id: Uuid) -> String {
    let text = id.to_string();
    let short = text.split('-').next().unwrap_or_default();
    name.map_or_else(|| short.to_owned(), |name| name.replace(SHORT_ID, short))
}

fn resolved_length(name: &str) -> usize {
    resolve_name(Some(name), Uuid::nil()).len()
}

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

fn malformed_locality() -> WorldError {
    let error = FieldError::invalid("locality", "Malformed locality");
    WorldError::validation_failed("Invalid VM parameters", vec![error])
}

/// A way to log in: keys of the account, or for images that ask for one, a password.
fn check_login(account: &Account, image: &Image, params: &Params) -> Result<(), WorldError> {
    if image.needs_password {
        let given = ["password", "administrator_pw"].iter().any(|name| params::text(params, name).is_some());
        if !given {
            return Err(WorldError::missing_parameter(format!("{} requires a password", image.id)));
        }
    } else if account.keys.is_empty() {
        return Err(WorldError::conflict("KeyRequired", "At least one SSH key is required to provision"));
    }
    Ok(())
}

fn check_size(image: &Image, package: &Package) -> Result<(), WorldError> {
    if let Some(least) = image.min_ram_mib.filter(|least| package.memory_mib < *least) {
        return Err(invalid(format!(
            "You must use a package with at least {least} MiB of RAM in order to provision the selected image"
        )));
    }
    if let Some(os) = package.os.as_ref().filter(|os| **os != image.os) {
        // The two are the wrong way round on the server, too.
        return Err(invalid(format!(
            "The package and image must have the same OS, but package has \"{}\" while image has \"{os}\"",
            image.os
        )));
    }
    Ok(())
}

fn rules(params: &Params) -> Result<Vec<AffinityRule>, WorldError> {
    let Some(value) = params.get("affinity").filter(|_| params::is_truthy(params, "affinity")) else {
        return Ok(Vec::new());
    };
    let Some(texts) = params::texts(value) else {
        return Err(invalid("affinity must be a string or an array of strings"));
    };
    texts.iter().map(|text| text.parse().map_err(|error| invalid(format!("{error}")))).collect()
}

/// Tags, metadata and passwords, which come as one parameter each.
fn contents(params: &Params) -> (Tags, Metadata, BTreeMap<String, String>) {
    let mut tags = Tags::new();
    let mut metadata = Metadata::new();
    for (name, value) in params {
        if let Some(key) = name.strip_prefix("tag.") {
            tags.insert(key.to_owned(), value.clone());
        } else if let Some(key) = name.strip_prefix("metadata.").filter(|key| !key.ends_with("_pw")) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    for name in ["password", "administrator_pw"] {
        if let Some(password) = params::text(params, name) {
            metadata.insert("administrator_pw".to_owned(), Value::String(password));
        }
    }
    let credentials = match metadata.remove("credentials") {
        Some(Value::Object(credentials)) => Some(credentials),
        Some(Value::String(text)) => serde_json::from_str::<Params>(&text).ok(),
        _ => None,
    };
    let credentials = credentials.unwrap_or_default().into_iter().map(|(user, password)| {
        let user = user.strip_suffix("_pw").map_or(user.clone(), str::to_owned);
        (user, metadata::text(&password))
    });
    (tags, metadata, credentials.collect())
}

#[cfg(test)]
mod tests;
