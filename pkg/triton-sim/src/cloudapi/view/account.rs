//! Accounts, keys and limits (reference 2.8).

use std::collections::BTreeMap;

use serde::Serialize;

use super::time;
use crate::world::account::{self, LimitCheck};
use crate::world::keys::AccountKey;

/// An account.
#[derive(Debug, Serialize)]
pub(crate) struct Account<'a> {
    id: String,
    login: &'a str,
    email: &'a str,
    #[serde(flatten)]
    profile: &'a BTreeMap<&'static str, String>,
    triton_cns_enabled: bool,
    created: String,
    updated: String,
}

impl<'a> Account<'a> {
    pub(crate) fn of(account: &'a account::Account) -> Self {
        Self {
            id: account.id.to_string(),
            login: &account.login,
            email: &account.email,
            profile: &account.profile,
            triton_cns_enabled: account.cns_enabled,
            created: time(account.created),
            updated: time(account.updated),
        }
    }
}

/// A key of an account or a sub-user.
#[derive(Debug, Serialize)]
pub(crate) struct Key<'a> {
    name: &'a str,
    fingerprint: &'a str,
    key: &'a str,
}

impl<'a> Key<'a> {
    pub(crate) fn of(key: &'a AccountKey) -> Self {
        Self { name: &key.name, fingerprint: &key.fingerprint, key: &key.openssh }
    }
}

/// A limit and how much of it is used.
#[derive(Debug, Serialize)]
pub(crate) struct Limit<'a> {
    by: &'static str,
    value: u64,
    used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<&'a str>,
}

impl<'a> Limit<'a> {
    pub(crate) fn of(limit: &'a account::Limit, used: u64) -> Self {
        let (mut image, mut os, mut brand) = (None, None, None);
        let check = match &limit.check {
            None => None,
            Some(LimitCheck::Image(name)) => {
                image = Some(name.as_str());
                Some("image")
            }
            Some(LimitCheck::Os(name)) => {
                os = Some(name.as_str());
                Some("os")
            }
            Some(LimitCheck::Brand(name)) => {
                brand = Some(name.as_str());
                Some("brand")
            }
        };
        Self { by: limit.by.as_str(), value: limit.value, used, check, image, os, brand }
    }
}
