//! What to do about the rules that there are.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use triton::grammar::firewall::FirewallRule;
use triton::id::FirewallRuleId;
use triton::types::FirewallRule as Observed;

use super::key::membership_of;
use super::{RuleKey, Wanted};

/// How long a rule stays that nobody needs any more: a rollout that removes the last pod before it makes the next, and
/// an instance that another virtual kubelet is just making, find their rules in place.
pub const GRACE: Duration = Duration::from_secs(30);

/// Since when rules are known to be needed by nobody.
pub type Unneeded = BTreeMap<FirewallRuleId, Instant>;

/// One thing to do. Each is independent of the others, and harmless when it is done already.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RuleStep {
    /// Make a rule, in force.
    Create {
        /// Its description.
        key: RuleKey,
        /// What it says.
        rule: FirewallRule,
    },
    /// Make an existing rule say what it should, and put it in force.
    Update {
        /// Which.
        id: FirewallRuleId,
        /// What it should say.
        rule: FirewallRule,
    },
    /// Put an existing rule in force.
    Enable(FirewallRuleId),
    /// Remove a rule.
    Delete(FirewallRuleId),
}

/// What to do now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulePlan {
    /// In any order.
    pub steps: Vec<RuleStep>,
    /// For the next plan.
    pub unneeded: Unneeded,
    /// When to look again even if nothing happens.
    pub again: Option<Instant>,
}

/// Compares what is wanted with all rules of the account.
///
/// - A rule that is wanted and not there is made; one that is disabled or says something else is corrected. Meanings
///   are compared, not texts, which the server rewrites.
/// - Of several rules of one key the one with the lowest id stays, which every process agrees on. The others go once
///   it is right.
/// - A rule of ours that is not wanted goes after it was so for `grace` without a break, but never while
///   an instance holds it or when not everything is known. What instances hold is kept in force.
/// - Rules of others, of other clusters, and the operator's global ones are as if they were not there.
pub fn plan(
    wanted: &Wanted,
    rules: &[Observed],
    unneeded: &Unneeded,
    grace: Duration,
    now: Instant,
) -> RulePlan {
    let mut plan = RulePlan::default();
    let mut ours = ours(wanted.cluster(), rules);
    for (key, rule) in wanted.rules() {
        match ours.remove(key.as_str()).as_deref() {
            None | Some([]) => {
                plan.steps.push(RuleStep::Create { key: key.clone(), rule: rule.clone() });
            }
            Some([first, others @ ..]) => {
                if first.rule.parse::<FirewallRule>().as_ref() != Ok(rule) {
                    plan.steps.push(RuleStep::Update { id: first.id, rule: rule.clone() });
                } else if !first.enabled {
                    plan.steps.push(RuleStep::Enable(first.id));
                } else {
                    plan.steps.extend(others.iter().map(|other| RuleStep::Delete(other.id)));
                }
            }
        }
    }
    for (description, rules) in ours {
        let held = membership_of(description, wanted.cluster()).is_some_and(|it| wanted.is_only_held(&it));
        if held {
            let disabled = rules.iter().filter(|rule| !rule.enabled);
            plan.steps.extend(disabled.map(|rule| RuleStep::Enable(rule.id)));
            continue;
        }
        if !wanted.knows_everything() {
            continue;
        }
        for rule in rules {
            let since = unneeded.get(&rule.id).copied().unwrap_or(now);
            let end = since + grace;
            plan.unneeded.insert(rule.id, since);
            if now >= end {
                plan.steps.push(RuleStep::Delete(rule.id));
            } else {
                plan.again = Some(plan.again.map_or(end, |again| again.min(end)));
            }
        }
    }
    plan
}

/// The rules of a cluster by description, each by id.
fn ours<'a>(cluster: &str, rules: &'a [Observed]) -> BTreeMap<&'a str, Vec<&'a Observed>> {
    let mut ours: BTreeMap<&str, Vec<&Observed>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| !rule.global) {
        let description = rule.description.as_deref().unwrap_or_default();
        if membership_of(description, cluster).is_some() {
            ours.entry(description).or_default().push(rule);
        }
    }
    for rules in ours.values_mut() {
        rules.sort_by_key(|rule| rule.id);
    }
    ours
}

#[cfg(test)]
mod tests;
