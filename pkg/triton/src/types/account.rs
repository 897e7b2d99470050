//! The account, its limits and its configuration (reference 2.8).

use crate::id::{AccountId, NetworkId};
use crate::types::object::{object, open_enum};
use jiff::Timestamp;
use serde::Serialize;

object! {
    /// An account.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account("an account") {
        /// Its id, which is also the account part of CNS names.
        identity id: AccountId = "id",
        /// The login name, which is the account part of URLs.
        login: Box<str> = "login",
        /// The owner's e-mail address.
        email: Box<str> = "email",
        /// Company.
        company_name: Option<Box<str>> = "companyName",
        /// The owner's first name.
        first_name: Option<Box<str>> = "firstName",
        /// The owner's last name.
        last_name: Option<Box<str>> = "lastName",
        /// Street and number.
        address: Option<Box<str>> = "address",
        /// Postal code.
        postal_code: Option<Box<str>> = "postalCode",
        /// City.
        city: Option<Box<str>> = "city",
        /// State or province.
        state: Option<Box<str>> = "state",
        /// Country.
        country: Option<Box<str>> = "country",
        /// Telephone number.
        phone: Option<Box<str>> = "phone",
        /// Whether CNS publishes this account's instances. `None`: an old server did not say.
        triton_cns_enabled: Option<bool> = "triton_cns_enabled",
        /// When the account was made.
        created: Option<Timestamp> = "created",
        /// When it was last changed.
        updated: Option<Timestamp> = "updated",
    }
}

/// Changes the fields of the account that are `Some`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateAccount {
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Turns CNS on or off for the whole account.
    #[serde(rename = "triton_cns_enabled", skip_serializing_if = "Option::is_none")]
    pub triton_cns_enabled: Option<bool>,
}

open_enum! {
    /// What a provisioning limit counts.
    pub enum LimitedResource {
        /// The number of instances.
        Machines = "machines",
        /// Their memory together, in MiB.
        Ram = "ram",
        /// Their disk quotas together, in GiB.
        Quota = "quota",
    }
}

object! {
    /// A provisioning limit. A create that would exceed one is refused with 403 `NotAuthorized`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Limit("a limit") {
        /// What is counted; instances where the server does not say.
        by: Option<LimitedResource> = "by",
        /// The highest allowed count, in the unit of `by`.
        value: Option<i64> = "value",
        /// The present count, in the unit of `by`.
        used: Option<i64> = "used",
        /// Which instances are counted, when not all: those of an `image`, an `os` or a `brand`.
        check: Option<Box<str>> = "check",
        /// The image name, when `check` is `image`.
        image: Option<Box<str>> = "image",
        /// The operating system, when `check` is `os`.
        os: Option<Box<str>> = "os",
        /// The brand, when `check` is `brand`.
        brand: Option<Box<str>> = "brand",
    }
}

object! {
    /// The account's configuration.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Config("an account configuration") {
        /// The fabric network that docker containers and volumes get when none is named.
        default_network: Option<NetworkId> = "default_network",
    }
}

/// Changes the account's configuration. An unknown network is a 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateConfig {
    /// The new default fabric network.
    pub default_network: NetworkId,
}
