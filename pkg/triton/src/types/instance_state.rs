//! The states of an instance, and what may be concluded from each (reference 2.12).

use crate::types::object::open_enum;

open_enum! {
    /// The state of an instance as CloudAPI shows it.
    ///
    /// | state | the instance exists | may change by itself |
    /// |---|---|---|
    /// | `provisioning`, `ready`, `stopping` | yes | yes, that is what it is doing |
    /// | `running`, `stopped` | yes | when the guest powers off |
    /// | `failed` | as a row without a zone | never |
    /// | `deleted` | no; the only proof of deletion besides a 410 | never |
    /// | `offline`, `unknown`, anything else | nothing may be concluded | yes |
    ///
    /// A list or an event may be older than the truth, so each state is what was so a moment ago.
    pub enum InstanceState {
        /// Being made.
        Provisioning = "provisioning",
        /// Made or restarting, and not yet running.
        Ready = "ready",
        /// Running.
        Running = "running",
        /// Shutting down.
        Stopping = "stopping",
        /// Shut down: by a request, or by the guest itself.
        Stopped = "stopped",
        /// Its compute node does not answer. Rare: the loss of a compute node is usually `unknown`.
        Offline = "offline",
        /// Destroyed.
        Deleted = "deleted",
        /// Its making failed, or it was destroyed before it was made. The row stays for ever, is left out
        /// of lists by default, and its name is free again.
        Failed = "failed",
    }
}

impl InstanceState {
    /// Translates a raw VMAPI state, as `resourceState` of a changefeed event carries it, the way CloudAPI
    /// does (reference 2.12, 2.26). A state that CloudAPI does not know is `unknown`.
    pub fn from_vmapi(state: &str) -> Self {
        match state {
            "configured" | "incomplete" | "unavailable" | "provisioning" => Self::Provisioning,
            "ready" => Self::Ready,
            "running" => Self::Running,
            "halting" | "stopping" | "shutting_down" => Self::Stopping,
            "off" | "down" | "installed" | "stopped" => Self::Stopped,
            "unreachable" => Self::Offline,
            "destroyed" => Self::Deleted,
            "failed" => Self::Failed,
            _ => Self::from("unknown"),
        }
    }

    /// Whether the instance is destroyed. False for everything else, also for [`InstanceState::Failed`].
    pub fn is_deleted(&self) -> bool {
        *self == Self::Deleted
    }

    /// Whether the instance will never run: a row is left that should be deleted.
    pub fn is_failed(&self) -> bool {
        *self == Self::Failed
    }

    /// Whether the instance runs, so far as CloudAPI knows.
    pub fn is_running(&self) -> bool {
        *self == Self::Running
    }

    /// Whether the instance is shut down and stays so until it is started.
    pub fn is_stopped(&self) -> bool {
        *self == Self::Stopped
    }

    /// Whether a job is under way that ends in another state: wait for it.
    pub fn is_transitional(&self) -> bool {
        matches!(self, Self::Provisioning | Self::Ready | Self::Stopping)
    }

    /// Whether the data centre has lost sight of the instance, or uses a word that this library does not
    /// know. It may be running: delete nothing on the strength of this.
    pub fn is_indeterminate(&self) -> bool {
        matches!(self, Self::Offline | Self::Unknown(_))
    }

    /// Whether the instance counts as one of the account's instances: neither destroyed nor failed. It is
    /// the server's own filter `active` (reference 2.13), and the scope in which names are unique.
    pub fn is_active(&self) -> bool {
        !self.is_deleted() && !self.is_failed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmapi_states_translate_as_cloudapi_does() {
        for (vmapi, cloudapi) in [
            ("configured", "provisioning"),
            ("incomplete", "provisioning"),
            ("unavailable", "provisioning"),
            ("provisioning", "provisioning"),
            ("ready", "ready"),
            ("running", "running"),
            ("halting", "stopping"),
            ("stopping", "stopping"),
            ("shutting_down", "stopping"),
            ("off", "stopped"),
            ("down", "stopped"),
            ("installed", "stopped"),
            ("stopped", "stopped"),
            ("unreachable", "offline"),
            ("destroyed", "deleted"),
            ("failed", "failed"),
            ("rebooting", "unknown"),
            ("deleted", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(InstanceState::from_vmapi(vmapi), InstanceState::from(cloudapi), "{vmapi}");
        }
    }

    #[test]
    fn each_state_answers_each_question() {
        let table = [
            // state, deleted, failed, running, stopped, transitional, indeterminate, active
            ("provisioning", [false, false, false, false, true, false, true]),
            ("ready", [false, false, false, false, true, false, true]),
            ("running", [false, false, true, false, false, false, true]),
            ("stopping", [false, false, false, false, true, false, true]),
            ("stopped", [false, false, false, true, false, false, true]),
            ("offline", [false, false, false, false, false, true, true]),
            ("deleted", [true, false, false, false, false, false, false]),
            ("failed", [false, true, false, false, false, false, false]),
            ("unknown", [false, false, false, false, false, true, true]),
            ("destroyed", [false, false, false, false, false, true, true]),
            ("", [false, false, false, false, false, true, true]),
        ];
        for (word, expected) in table {
            let state = InstanceState::from(word);
            let answers = [
                state.is_deleted(),
                state.is_failed(),
                state.is_running(),
                state.is_stopped(),
                state.is_transitional(),
                state.is_indeterminate(),
                state.is_active(),
            ];
            assert_eq!(answers, expected, "{word}");
            assert_eq!(state.as_str(), word);
        }
    }
}
