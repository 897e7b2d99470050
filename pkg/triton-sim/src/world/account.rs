//! Accounts, their limits and their configuration (reference 2.8).

use std::collections::BTreeMap;

use jiff::Timestamp;
use triton::id::{AccountId, NetworkId};

use super::error::WorldError;
use super::keys::AccountKey;
use super::machine::Machine;
use super::packages::Package;
use super::params::{self, Params};
use super::{World, images::Image};

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its login.
    pub login: String,
    /// Its address for mail.
    pub email: String,
    /// The optional fields that are set, by CloudAPI's names ([`PROFILE_FIELDS`]).
    pub profile: BTreeMap<&'static str, String>,
    /// Whether CNS is on.
    pub cns_enabled: bool,
    /// Whether it may provision.
    pub approved: bool,
    /// Whether it is an operator, who may do anything and is never throttled.
    pub operator: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Its keys.
    pub keys: Vec<AccountKey>,
    /// Its default fabric network.
    pub default_network: Option<NetworkId>,
    /// What it may use at most.
    pub limits: Vec<Limit>,
}

impl Account {
    /// An account without keys, approved for provisioning.
    pub fn new(
        id: AccountId,
        login: impl Into<String>,
        email: impl Into<String>,
        created: Timestamp,
    ) -> Self {
        Self {
            id,
            login: login.into(),
            email: email.into(),
            profile: BTreeMap::new(),
            cns_enabled: false,
            approved: true,
            operator: false,
            created,
            updated: created,
            keys: Vec::new(),
            default_network: None,
            limits: Vec::new(),
        }
    }
}

/// The optional fields of accounts and sub-users.
pub const PROFILE_FIELDS: [&str; 9] =
    ["companyName", "firstName", "lastName", "address", "postalCode", "city", "state", "country", "phone"];

/// A limit on what an account uses (reference 2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub by: LimitedBy,
    /// The most of it, in instances, MiB of memory or GiB of disk. Zero is no limit.
    pub value: u64,
    /// Which instances count; all without it.
    pub check: Option<LimitCheck>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// Instances.
    Machines,
    /// Memory in MiB.
    Ram,
    /// Disk in GiB.
    Quota,
}

impl LimitedBy {
    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Ram => "ram",
            Self::Quota => "quota",
        }
    }
}

/// Which instances a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitCheck {
    /// Those of images with this name.
    Image(String),
    /// Those of images with this operating system.
    Os(String),
    /// Those of this brand.
    Brand(String),
}

/// A quota that is used up.
const QUOTA_MESSAGE: &str = "Quota exceeded; to have your limits raised please contact Support";

impl World {
    /// Adds an account; one of the same id is replaced.
    pub fn add_account(&mut self, account: Account) {
        self.accounts.insert(account.id, account);
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The account of a login.
    pub fn account_by_login(&self, login: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.login == login)
    }

    /// All accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// An account, to set what no request can: its limits, for instance.
    pub fn account_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    pub(super) fn owner(&self, id: AccountId) -> Result<&Account, WorldError> {
        self.accounts.get(&id).ok_or_else(|| WorldError::not_found("account not found"))
    }

    pub(super) fn owner_mut(&mut self, id: AccountId) -> Result<&mut Account, WorldError> {
        self.accounts.get_mut(&id).ok_or_else(|| WorldError::not_found("account not found"))
    }

    /// Changes an account: `email`, `triton_cns_enabled` and [`PROFILE_FIELDS`].
    ///
    /// # Errors
    ///
    /// 409 when `triton_cns_enabled` is no boolean.
    pub fn update_account(
        &mut self,
        now: Timestamp,
        id: AccountId,
        params: &Params,
    ) -> Result<Account, WorldError> {
        let cns_enabled = params::boolean(params, "triton_cns_enabled")?;
        let account = self.owner_mut(id)?;
        if let Some(email) = params::text(params, "email") {
            account.email = email;
        }
        set_profile(&mut account.profile, params);
        let cns_changes = cns_enabled.is_some_and(|enabled| enabled != account.cns_enabled);
        account.cns_enabled = cns_enabled.unwrap_or(account.cns_enabled);
        account.updated = now;
        let account = account.clone();
        if cns_changes {
            self.touched.extend(self.machines.active_of(id).map(|machine| machine.id));
        }
        Ok(account)
    }

    /// The limits of an account, each with what is used of it.
    pub fn limits(&self, id: AccountId) -> Vec<(Limit, u64)> {
        let limits = self.accounts.get(&id).map(|account| account.limits.as_slice()).unwrap_or_default();
        limits.iter().map(|limit| (limit.clone(), self.used(id, limit))).collect()
    }

    fn used(&self, owner: AccountId, limit: &Limit) -> u64 {
        // Limits are not applied to docker containers (reference 2.8).
        let counted = self.machines.active_of(owner).filter(|machine| !machine.docker);
        let counted = counted.filter(|machine| {
            let image = self.images.get(&machine.image).map(|image| &**image);
            limit.counts(machine.brand.as_str(), image)
        });
        let amount = |machine: &Machine| match limit.by {
            LimitedBy::Machines => 1,
            LimitedBy::Ram => machine.memory_mib,
            LimitedBy::Quota => machine.disk_mib / 1024,
        };
        counted.map(|machine| amount(machine)).sum()
    }

    /// Refuses what would exceed a limit: a new instance, or with `resized` the growth of an old one.
    pub(super) fn check_limits(
        &self,
        owner: AccountId,
        brand: &str,
        image: Option<&Image>,
        package: &Package,
        resized: Option<&Machine>,
    ) -> Result<(), WorldError> {
        let limits = &self.owner(owner)?.limits;
        for limit in limits.iter().filter(|limit| limit.value > 0 && limit.counts(brand, image)) {
            let (added, freed) = match limit.by {
                LimitedBy::Machines if resized.is_some() => continue,
                LimitedBy::Machines => (1, 0),
                LimitedBy::Ram => (package.memory_mib, resized.map_or(0, |machine| machine.memory_mib)),
                LimitedBy::Quota => (package.disk_mib / 1024, resized.map_or(0, |m| m.disk_mib / 1024)),
            };
            if (self.used(owner, limit) + added).saturating_sub(freed) > limit.value {
                return Err(WorldError::not_authorized(QUOTA_MESSAGE));
            }
        }
        Ok(())
    }

    /// Sets the default fabric network of an account.
    ///
    /// # Errors
    ///
    /// 409 when the account cannot see the network (reference 2.8).
    pub fn set_default_network(&mut self, id: AccountId, network: NetworkId) -> Result<(), WorldError> {
        if self.visible_network(id, network).is_none() {
            return Err(WorldError::invalid_argument(format!("unknown network: {network}")));
        }
        self.owner_mut(id)?.default_network = Some(network);
        Ok(())
    }
}

impl Limit {
    fn counts(&self, brand: &str, image: Option<&Image>) -> bool {
        match &self.check {
            None => true,
            Some(LimitCheck::Image(name)) => image.is_some_and(|image| *image.name == **name),
            Some(LimitCheck::Os(os)) => image.is_some_and(|image| image.os == *os),
            Some(LimitCheck::Brand(wanted)) => brand == wanted,
        }
    }
}

/// Sets the optional fields that `params` names; an empty text removes one.
pub(super) fn set_profile(profile: &mut BTreeMap<&'static str, String>, params: &Params) {
    for field in PROFILE_FIELDS {
        match (params.get(field), params::text(params, field)) {
            (Some(_), Some(text)) => drop(profile.insert(field, text)),
            (Some(_), None) => drop(profile.remove(field)),
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
