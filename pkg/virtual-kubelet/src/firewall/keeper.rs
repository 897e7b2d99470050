//! Carries plans out, and remembers the account's rules between them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use runtime::leader::{Claim, NotLeading};
use tokio::sync::Mutex;
use tokio::time::Instant;
use triton::budget::Priority;
use triton::client::Client;
use triton::id::FirewallRuleId;
use triton::types::{CreateFirewallRule, FirewallRule, UpdateFirewallRule};
use triton::{Error, Kind};

use super::{GRACE, RuleStep, Unneeded, Wanted, plan};

/// How many writes are under way at once; the request budget decides how fast they are.
const CONCURRENCY: usize = 4;

/// How often a plan is made and carried out in a row. Two suffice; a rule that somebody else deletes meanwhile takes
/// a third.
const ROUNDS: usize = 3;

/// When to try a step again that failed; doubled for each failure in a row, up to [`MOST_RETRY`].
const RETRY: Duration = Duration::from_secs(5);

/// The longest pause after a failure.
const MOST_RETRY: Duration = Duration::from_secs(300);

/// Settings of a [`Keeper`].
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How old the list of rules may become before it is read again: so long a rule that was deleted by hand may be
    /// missing. A list is one call.
    pub relist: Duration,
    /// How long a rule stays that nobody needs.
    pub grace: Duration,
    /// The longest that one call may take, waits and repeats included.
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { relist: Duration::from_secs(300), grace: GRACE, deadline: Duration::from_secs(30) }
    }
}

/// Keeps the firewall rules of one cluster as they should be.
#[derive(Debug)]
pub struct Keeper {
    client: Client,
    claim: Claim,
    settings: Settings,
    /// Held while a plan is carried out: there is one at a time.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: BTreeMap<FirewallRuleId, FirewallRule>,
    /// When the youngest list began; `None` when what is remembered must not be planned with.
    listed: Option<Instant>,
    unneeded: Unneeded,
    /// The steps that failed, and are still to be taken.
    failed: HashMap<RuleStep, Retry>,
}

/// When to try a step again.
#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    /// How often in a row it failed.
    failures: u32,
}

/// What became of a call to [`Keeper::ensure`].
#[derive(Debug, Default)]
pub struct Ensured {
    /// How many rules were made, corrected or removed.
    pub written: usize,
    /// The steps that failed now, and why. The others were carried out.
    pub failures: Vec<Failure>,
    /// How many steps failed earlier and wait to be tried again.
    pub waiting: usize,
    /// When to call again even if nothing happens.
    pub again: Option<Instant>,
}

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    /// Which; `None`: reading the list again, so that older knowledge was used.
    pub step: Option<RuleStep>,
    /// Why.
    pub error: RuleError,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// CloudAPI did not do it.
    #[error(transparent)]
    CloudApi(#[from] Error),
    /// This process does not lead any more.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

/// Why nothing at all was done.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// This process does not lead.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    /// It is not known which rules there are.
    #[error("cannot read the account's firewall rules; instances keep those they have")]
    List(#[source] Error),
}

/// The answer to a step.
enum Written {
    Rule(FirewallRule),
    /// It is not there (any more).
    Absent(FirewallRuleId),
}

impl Retry {
    /// It failed once more.
    fn again(&mut self) {
        let pause = RETRY.saturating_mul(1 << self.failures.min(10)).min(MOST_RETRY);
        *self = Self { at: Instant::now() + pause, failures: self.failures + 1 };
    }
}

impl Keeper {
    /// Nothing is read yet. `client`'s writes are made only while `claim` is valid.
    pub fn new(client: Client, claim: Claim, settings: Settings) -> Self {
        let client = client.with_deadline(settings.deadline);
        Self { client, claim, settings, state: Mutex::default() }
    }

    /// Brings the account's rules to what is wanted, as far as possible now. Costs no call when they are and the list
    /// is young. Safe to cancel: what was begun is found by the next list.
    ///
    /// # Errors
    ///
    /// [`EnsureError`]. Failures of single rules do not stop the others, and are in [`Ensured::failures`]; such a step is
    /// tried again after a pause that grows, however often this is called.
    pub async fn ensure(&self, wanted: &Wanted) -> Result<Ensured, EnsureError> {
        let mut state = self.state.lock().await;
        if let Err(not_leading) = self.claim.check() {
            // Whoever leads now changes the rules: what is known here ends with the claim.
            *state = State::default();
            return Err(not_leading.into());
        }
        let mut ensured = Ensured::default();
        let now = Instant::now();
        if state.listed.is_none_or(|listed| now >= listed + self.settings.relist)
            && let Err(error) = self.relist(&mut state).await
        {
            if state.listed.is_none() {
                return Err(EnsureError::List(error));
            }
            ensured.failures.push(Failure { step: None, error: error.into() });
        }
        for _ in 0..ROUNDS {
            let rules: Vec<FirewallRule> = state.rules.values().cloned().collect();
            let now = Instant::now();
            let planned = plan(wanted, &rules, &state.unneeded, self.settings.grace, now);
            state.unneeded = planned.unneeded;
            state.failed.retain(|step, _| planned.steps.contains(step));
            let (waiting, due): (Vec<_>, Vec<_>) = planned
                .steps
                .into_iter()
                .partition(|step| state.failed.get(step).is_some_and(|it| now < it.at));
            ensured.waiting = waiting.len();
            ensured.again = planned.again;
            if due.is_empty() {
                break;
            }
            self.carry_out(due, &mut state, &mut ensured).await;
            if state.listed.is_none() {
                break;
            }
        }
        let retries = state.failed.values().map(|retry| retry.at);
        let relist = state.listed.map(|listed| listed + self.settings.relist);
        let unlisted = ensured.failures.iter().any(|failure| failure.step.is_none());
        let again = retries.chain(relist.filter(|_| !unlisted)).chain(unlisted.then(|| now + RETRY));
        ensured.again = again.chain(ensured.again).min();
        Ok(ensured)
    }

    /// The steps by which all would be as wanted, those after the grace included. Only reads, and needs no leadership.
    ///
    /// # Errors
    ///
    /// [`EnsureError::List`]
    pub async fn preview(&self, wanted: &Wanted) -> Result<Vec<RuleStep>, EnsureError> {
        let mut state = State::default();
        self.relist(&mut state).await.map_err(EnsureError::List)?;
        let rules: Vec<FirewallRule> = state.rules.into_values().collect();
        Ok(plan(wanted, &rules, &state.unneeded, Duration::ZERO, Instant::now()).steps)
    }

    async fn relist(&self, state: &mut State) -> Result<(), Error> {
        let begun = Instant::now();
        let client = self.client.with_priority(Priority::Refresh);
        let list = client.list_firewall_rules().await?;
        for row in &list.undecodable {
            tracing::warn!(index = row.index, reason = %row.reason, "a firewall rule cannot be read");
        }
        // A row that cannot be read may be any of those that are known, so none of them is forgotten.
        if list.is_clean() {
            state.rules.clear();
        }
        state.rules.extend(list.items.into_iter().map(|rule| (rule.id, rule)));
        state.listed = Some(begun);
        Ok(())
    }

    async fn carry_out(&self, steps: Vec<RuleStep>, state: &mut State, ensured: &mut Ensured) {
        let writes = steps.into_iter().map(|step| async {
            let outcome = match self.claim.run(self.write(&step)).await {
                Ok(outcome) => outcome.map_err(RuleError::from),
                Err(not_leading) => Err(not_leading.into()),
            };
            (step, outcome)
        });
        let mut writes = stream::iter(writes).buffer_unordered(CONCURRENCY);
        // A cut-off here leaves writes whose end is unknown: nothing is planned before the next list.
        let listed = state.listed.take();
        let mut certain = true;
        while let Some((step, outcome)) = writes.next().await {
            match outcome {
                Ok(Written::Rule(rule)) => drop(state.rules.insert(rule.id, rule)),
                Ok(Written::Absent(id)) => drop(state.rules.remove(&id)),
                Err(error) => {
                    // A rule that is made although the answer is an error would be made twice.
                    certain &= matches!(&error, RuleError::CloudApi(error) if !error.may_have_taken_effect())
                        && !matches!(step, RuleStep::Create { .. });
                    state
                        .failed
                        .entry(step.clone())
                        .or_insert(Retry { at: Instant::now(), failures: 0 })
                        .again();
                    ensured.failures.push(Failure { step: Some(step), error });
                    continue;
                }
            }
            ensured.written += 1;
        }
        if certain {
            state.listed = listed;
        }
    }

    async fn write(&self, step: &RuleStep) -> Result<Written, Error> {
        let (id, result) = match step {
            RuleStep::Create { key, rule } => {
                let create = CreateFirewallRule {
                    rule: rule.to_string(),
                    enabled: true,
                    log: None,
                    description: Some(key.as_str().to_owned()),
                };
                return self.client.create_firewall_rule(&create).await.map(Written::Rule);
            }
            RuleStep::Update { id, rule } => {
                let update = UpdateFirewallRule {
                    rule: Some(rule.to_string()),
                    enabled: Some(true),
                    ..UpdateFirewallRule::default()
                };
                (*id, self.client.update_firewall_rule(*id, &update).await.map(Written::Rule))
            }
            RuleStep::Enable(id) => (*id, self.client.enable_firewall_rule(*id).await.map(Written::Rule)),
            RuleStep::Delete(id) => {
                // Nobody waits for it.
                let client = self.client.with_priority(Priority::Status);
                (*id, client.delete_firewall_rule(*id).await.map(|()| Written::Absent(*id)))
            }
        };
        match result {
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Gone) => Ok(Written::Absent(id)),
            result => result,
        }
    }
}
