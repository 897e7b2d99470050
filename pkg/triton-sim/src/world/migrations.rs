//! Migrations of instances between compute nodes (reference 2.24).
//!
//! The phases are jobs of the instance. `begin` finds another node and takes its room there, `sync` copies, and
//! `switch` moves the instance, which keeps its id, addresses and name.

use jiff::Timestamp;
use triton::id::{AccountId, ComputeNodeId, InstanceId};
use uuid::Uuid;

use super::World;
use super::affinity::Wanted;
use super::error::WorldError;
use super::machine::{Caller, Machine};
use super::params::{self, Params};
use super::tasks::Task;
use crate::view::VmState;

/// The most entries of a progress history. The bound is ours.
const MAX_PROGRESS: usize = 100;

/// A migration of an instance, the latest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The instance.
    pub instance: InstanceId,
    /// Its account.
    pub owner: AccountId,
    /// Whether its phases follow each other by themselves.
    pub automatic: bool,
    /// The phase it is in.
    pub phase: Phase,
    /// How that goes.
    pub state: MigrationState,
    /// When it began.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// What was done so far.
    pub progress: Vec<Progress>,
    /// Where the instance goes, once known.
    target: Option<ComputeNodeId>,
    /// How often it was copied.
    syncs: u32,
}

/// A phase of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Finding a node.
    Begin,
    /// Copying.
    Sync,
    /// Moving.
    Switch,
    /// Giving up.
    Abort,
}

impl Phase {
    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Sync => "sync",
            Self::Switch => "switch",
            Self::Abort => "abort",
        }
    }
}

/// How a phase goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// It is under way.
    Running,
    /// It waits for the next action.
    Paused,
    /// The instance was moved.
    Successful,
    /// What was left behind is gone, too.
    Finished,
    /// It did not work.
    Failed,
    /// It was given up.
    Aborted,
}

impl MigrationState {
    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Successful => "successful",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

/// A phase that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// How it went.
    pub state: MigrationState,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Migration {
    fn enter(&mut self, now: Timestamp, phase: Phase) {
        (self.phase, self.state, self.updated) = (phase, MigrationState::Running, now);
        if self.progress.len() >= MAX_PROGRESS {
            self.progress.remove(0);
        }
        self.progress.push(Progress { phase, state: MigrationState::Running, started: now, finished: None });
    }

    fn leave(&mut self, at: Timestamp, state: MigrationState) {
        (self.state, self.updated) = (state, at);
        if let Some(last) = self.progress.last_mut() {
            (last.state, last.finished) = (state, Some(at));
        }
        if !matches!(state, MigrationState::Running | MigrationState::Paused) {
            self.finished = Some(at);
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, MigrationState::Finished | MigrationState::Aborted)
            || (self.state == MigrationState::Failed && self.target.is_none())
    }
}

fn precondition(message: impl Into<String>) -> WorldError {
    WorldError::refused(412, "PreconditionFailed", message, Vec::new())
}

impl World {
    /// The migrations of an account's instances, by instance.
    pub fn list_migrations(&self, owner: AccountId) -> impl Iterator<Item = &Migration> {
        self.migrations.values().filter(move |migration| migration.owner == owner)
    }

    /// The latest migration of an instance.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn migration(&self, owner: AccountId, id: InstanceId) -> Result<&Migration, WorldError> {
        let migration = self.migrations.get(&id).filter(|migration| migration.owner == owner);
        migration.ok_or_else(|| WorldError::not_found("VM not found"))
    }

    /// How many bytes a migration would copy.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn migration_estimate(&self, owner: AccountId, id: InstanceId) -> Result<u64, WorldError> {
        // Something between nothing and the whole quota: a tenth of it.
        Ok(self.machine(owner, id)?.demand().disk_mib * (1 << 20) / 10)
    }

    /// Acts on a migration: `action` is `begin`, `automatic`, `sync`, `switch`, `pause`, `abort` or `finalize`.
    ///
    /// # Errors
    ///
    /// 404, 409 for a missing or unknown action, 412 for one that does not fit.
    pub fn migrate(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<Migration, WorldError> {
        let Some(action) = params::text(params, "action") else {
            return Err(WorldError::missing_parameter("\"action\" must be specified"));
        };
        match action.as_str() {
            "begin" | "automatic" => self.begin_migration(now, owner, id, action == "automatic", caller)?,
            "sync" | "switch" | "pause" | "abort" | "finalize" => {
                let migration = self.migration(owner, id)?.clone();
                self.continue_migration(now, migration, &action, caller)?;
            }
            _ => {
                let message = format!("{action} is not a valid migration action");
                return Err(WorldError::invalid_argument(message));
            }
        }
        self.migration(owner, id).cloned()
    }

    fn begin_migration(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        automatic: bool,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let machine = self.machine_for(owner, id, "migrate")?;
        if !machine.is_active() {
            return Err(precondition("VM cannot be migrated in its state"));
        }
        if self.migrations.get(&id).is_some_and(|migration| !migration.is_over()) {
            return Err(precondition("A migration already exists for this VM"));
        }
        let mut migration = Migration {
            instance: id,
            owner,
            automatic,
            phase: Phase::Begin,
            state: MigrationState::Running,
            created: now,
            updated: now,
            finished: None,
            progress: Vec::new(),
            target: None,
            syncs: 0,
        };
        migration.enter(now, Phase::Begin);
        self.enqueue(now, id, Task::Migrate(Phase::Begin), caller)?;
        self.migrations.insert(id, migration);
        Ok(())
    }

    fn continue_migration(
        &mut self,
        now: Timestamp,
        mut migration: Migration,
        action: &str,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let (phase, state) = (migration.phase, migration.state);
        let waits = matches!(state, MigrationState::Paused | MigrationState::Failed);
        let copies = matches!(phase, Phase::Begin | Phase::Sync) && migration.target.is_some();
        let id = migration.instance;
        match action {
            "sync" if waits && copies => self.enter_phase(now, &mut migration, Phase::Sync, caller)?,
            "switch" if waits && copies && migration.syncs > 0 => {
                self.enter_phase(now, &mut migration, Phase::Switch, caller)?;
            }
            "switch" if waits && copies => {
                let message = "You must perform at least one \"migration sync\" operation before switching";
                return Err(precondition(message));
            }
            "pause" if phase == Phase::Sync && state == MigrationState::Running => {
                migration.leave(now, MigrationState::Paused);
                migration.automatic = false;
            }
            "pause" => return Err(precondition("Pause requires a running migration sync action")),
            "abort" if waits => {
                self.leave_target(&mut migration);
                migration.enter(now, Phase::Abort);
                migration.leave(now, MigrationState::Aborted);
            }
            "abort" => {
                let message = format!("Abort cannot work on a {} migration", state.as_str());
                return Err(precondition(message));
            }
            "finalize" if state == MigrationState::Successful => {
                migration.leave(now, MigrationState::Finished);
            }
            "finalize" => return Err(precondition("Finalize only works on a successful migration")),
            _ => {
                let (phase, state) = (phase.as_str(), state.as_str());
                return Err(precondition(format!(
                    "Cannot {action} in migration phase {phase}, state {state}"
                )));
            }
        }
        self.migrations.insert(id, migration);
        Ok(())
    }

    fn enter_phase(
        &mut self,
        now: Timestamp,
        migration: &mut Migration,
        phase: Phase,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        self.enqueue(now, migration.instance, Task::Migrate(phase), caller).map(|_: Uuid| ())?;
        migration.enter(now, phase);
        Ok(())
    }

    /// A phase has done its work, if it can.
    pub(super) fn migration_proceeds(
        &mut self,
        at: Timestamp,
        machine: &Machine,
        phase: Phase,
        caller: &Caller,
    ) -> bool {
        let Some(mut migration) = self.migrations.get(&machine.id).cloned() else {
            return false;
        };
        let done = match phase {
            Phase::Begin => self.find_target(machine, &mut migration),
            Phase::Sync => {
                migration.syncs += 1;
                true
            }
            Phase::Switch => self.switch(at, machine, &mut migration),
            Phase::Abort => false,
        };
        if !done {
            return false;
        }
        let state = if phase == Phase::Switch { MigrationState::Successful } else { MigrationState::Paused };
        if migration.state == MigrationState::Running {
            migration.leave(at, state);
        }
        let next = match phase {
            Phase::Begin => Some(Phase::Sync),
            Phase::Sync => Some(Phase::Switch),
            Phase::Switch | Phase::Abort => None,
        };
        if let Some(next) = next.filter(|_| migration.automatic)
            && self.enter_phase(at, &mut migration, next, caller).is_err()
        {
            migration.leave(at, MigrationState::Failed);
        }
        self.migrations.insert(machine.id, migration);
        true
    }

    fn find_target(&mut self, machine: &Machine, migration: &mut Migration) -> bool {
        let demand = machine.demand();
        let mut elsewhere = Wanted::default();
        elsewhere.add(true, false, std::iter::once(machine));
        let target = self.place(machine.id, demand, machine.encrypted, &[], &elsewhere);
        if let Some(target) = target {
            self.occupy(target, demand);
            migration.target = Some(target);
        }
        target.is_some()
    }

    fn switch(&mut self, at: Timestamp, machine: &Machine, migration: &mut Migration) -> bool {
        let Some(target) = migration.target.filter(|target| self.node_is_up(Some(*target))) else {
            return false;
        };
        if let Some(source) = machine.compute_node {
            self.vacate(source, machine.demand());
        }
        migration.target = None;
        let running = machine.stored_state == VmState::Running;
        self.edit(at, machine.id, &["server_uuid", "boot_timestamp"], |machine| {
            machine.compute_node = Some(target);
            machine.booted = if running { Some(at) } else { machine.booted };
        });
        true
    }

    /// A phase has not done its work.
    pub(super) fn migration_fails(&mut self, at: Timestamp, id: InstanceId) {
        if let Some(migration) = self.migrations.get_mut(&id) {
            migration.leave(at, MigrationState::Failed);
        }
    }

    /// Whether an instance has taken room on another node, so that its size cannot change.
    pub(super) fn is_moving(&self, id: InstanceId) -> bool {
        self.migrations.get(&id).is_some_and(|migration| migration.target.is_some())
    }

    /// The instance is gone, and with it its migration.
    pub(super) fn end_migration(&mut self, id: InstanceId) {
        if let Some(mut migration) = self.migrations.remove(&id) {
            self.leave_target(&mut migration);
        }
    }

    fn leave_target(&mut self, migration: &mut Migration) {
        let machine = self.machines.get(migration.instance).cloned();
        if let (Some(target), Some(machine)) = (migration.target.take(), machine) {
            self.vacate(target, machine.demand());
        }
    }
}

#[cfg(test)]
mod tests;
