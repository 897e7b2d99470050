//! Migrations of instances between compute nodes, for reading (reference 2.24).

use crate::id::InstanceId;
use crate::types::object::{object, open_enum};
use jiff::Timestamp;

open_enum! {
    /// The step that a migration is at.
    pub enum MigrationPhase {
        /// Preparing a place on another server.
        Begin = "begin",
        /// Copying, while the instance runs.
        Sync = "sync",
        /// Changing over: an outage as long as a reboot.
        Switch = "switch",
    }
}

open_enum! {
    /// How a migration, or a step of one, is doing.
    pub enum MigrationState {
        /// Under way.
        Running = "running",
        /// Waiting for the next step.
        Paused = "paused",
        /// Changed over; the old copy is still there.
        Successful = "successful",
        /// Changed over and tidied up.
        Finished = "finished",
        /// Failed.
        Failed = "failed",
        /// Given up on request.
        Aborted = "aborted",
    }
}

object! {
    /// A migration. It changes the instance's `compute_node`; id, name and addresses stay.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Migration("a migration") {
        /// The instance that moves.
        identity instance: InstanceId = "machine",
        /// The step it is at.
        phase: MigrationPhase = "phase",
        /// How it is doing.
        state: MigrationState = "state",
        /// Whether it goes through its steps by itself.
        automatic: bool = "automatic",
        /// When it was begun.
        created: Option<Timestamp> = "created_timestamp",
        /// When it last advanced.
        updated: Option<Timestamp> = "updated_timestamp",
        /// When it ended.
        finished: Option<Timestamp> = "finished_timestamp",
        /// How much is done, from 0 to 100.
        progress_percent: Option<f64> = "progress_percent",
        /// The steps so far.
        progress_history: Box<[MigrationProgress]> = "progress_history",
    }
}

object! {
    /// A step of a migration.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MigrationProgress("a migration step") {
        /// Which step.
        phase: MigrationPhase = "phase",
        /// How it is doing or how it ended.
        state: MigrationState = "state",
        /// What it is doing, in words.
        message: Option<Box<str>> = "message",
        /// How much is done, out of `total_progress`.
        current_progress: Option<u64> = "current_progress",
        /// How much there is to do, in a unit that depends on the step.
        total_progress: Option<u64> = "total_progress",
        /// When it began.
        started: Option<Timestamp> = "started_timestamp",
        /// When it ended.
        finished: Option<Timestamp> = "finished_timestamp",
    }
}
