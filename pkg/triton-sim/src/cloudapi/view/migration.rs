//! Migrations (reference 2.24).

use serde::Serialize;

use super::time;
use crate::world::migrations::{self, MigrationState, Progress};

/// A migration.
#[derive(Debug, Serialize)]
pub(crate) struct Migration {
    machine: String,
    automatic: bool,
    created_timestamp: String,
    updated_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_timestamp: Option<String>,
    phase: &'static str,
    state: &'static str,
    progress_history: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    phase: &'static str,
    state: &'static str,
    current_progress: u64,
    total_progress: u64,
    message: &'static str,
    started_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_timestamp: Option<String>,
}

impl Entry {
    fn of(progress: &Progress) -> Self {
        let (state, current_progress) = match progress.state {
            MigrationState::Running => ("running", 50),
            MigrationState::Failed => ("failed", 50),
            MigrationState::Aborted => ("aborted", 100),
            MigrationState::Paused | MigrationState::Successful | MigrationState::Finished => {
                ("successful", 100)
            }
        };
        let message = match progress.phase {
            migrations::Phase::Begin => "reserving instance",
            migrations::Phase::Sync => "syncing data",
            migrations::Phase::Switch => "switching instances",
            migrations::Phase::Abort => "aborting migration",
        };
        Self {
            phase: progress.phase.as_str(),
            state,
            current_progress,
            total_progress: 100,
            message,
            started_timestamp: time(progress.started),
            finished_timestamp: progress.finished.map(time),
        }
    }
}

impl Migration {
    pub(crate) fn of(migration: &migrations::Migration) -> Self {
        Self {
            machine: migration.instance.to_string(),
            automatic: migration.automatic,
            created_timestamp: time(migration.created),
            updated_timestamp: time(migration.updated),
            finished_timestamp: migration.finished.map(time),
            phase: migration.phase.as_str(),
            state: migration.state.as_str(),
            progress_history: migration.progress.iter().map(Entry::of).collect(),
        }
    }
}

/// What is told of a migration that is watched.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    /// A phase goes on, or is over.
    Progress(Entry),
    /// Nothing more will happen by itself.
    End { phase: &'static str, state: &'static str },
}

/// What is told of a migration that was watched since its history had a length: its later phases and its end, each
/// in a line of JSON.
pub(crate) fn migration_events(
    migration: &migrations::Migration,
    before: usize,
) -> Result<String, serde_json::Error> {
    let phases = migration.progress.iter().skip(before).map(|it| Event::Progress(Entry::of(it)));
    let end = Event::End { phase: migration.phase.as_str(), state: migration.state.as_str() };
    phases.chain([end]).map(|event| serde_json::to_string(&event).map(|line| line + "\n")).collect()
}

/// How much a migration would copy, in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Estimate {
    pub(crate) size: u64,
}
