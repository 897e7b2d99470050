//! The audit log of an instance (reference 2.25).

use crate::types::object::{object, open_enum};
use jiff::Timestamp;
use std::net::IpAddr;

open_enum! {
    /// How a job ended.
    pub enum AuditOutcome {
        /// It succeeded.
        Succeeded = "yes",
        /// It failed. No reason is given.
        Failed = "no",
    }
}

object! {
    /// A finished job. Jobs that are queued or running are not in the log, and entries have no id.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AuditEntry("an audit entry") {
        /// What was done: `provision`, `start`, `stop`, `reboot`, `destroy`, `rename`, `resize`, `set_tags`, ….
        action: Box<str> = "action",
        /// How it ended.
        success: AuditOutcome = "success",
        /// When its last task ended.
        time: Option<Timestamp> = "time",
        /// Who asked for it.
        caller: Option<AuditCaller> = "caller",
    }
}

object! {
    /// Who asked for a job.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AuditCaller("an audit caller") {
        /// How the caller was authenticated: `signature`, `basic`, `token`, `operator`.
        caller_type: Option<Box<str>> = "type",
        /// The caller's address.
        ip: Option<IpAddr> = "ip",
        /// The key that signed the request: `/acct/keys/<fingerprint>`.
        key_id: Option<Box<str>> = "keyId",
    }
}
