//! What affinity rules and localities mean for placement (reference 2.15).

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;
use triton::grammar::affinity::{AffinityKey, AffinityOperator, AffinityRule, AffinityValue};
use triton::id::ComputeNodeId;

use super::list::glob;
use super::machine::Machine;

/// How long the beginning of an id must be to mean the instance: what `triton` calls a short id.
const SHORT_ID: usize = 8;

/// On which nodes an instance is wanted, and on which not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted(Vec<Wish>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    /// Whether it must come true.
    strict: bool,
    /// Whether the node should be one of these, or none of them.
    same: bool,
    nodes: BTreeSet<ComputeNodeId>,
}

impl Wanted {
    /// Wants the nodes of these instances, or others.
    pub(super) fn add<'a>(&mut self, strict: bool, same: bool, instances: impl Iterator<Item = &'a Machine>) {
        let nodes = instances.filter_map(|machine| machine.compute_node).collect();
        self.0.push(Wish { strict, same, nodes });
    }

    /// Wants what the rules say, where `instances` are those of the account.
    pub(super) fn add_rules<'a, I: Iterator<Item = &'a Machine>>(
        &mut self,
        rules: &[AffinityRule],
        instances: impl Fn() -> I,
    ) {
        for rule in rules {
            let (strict, same) = match rule.operator() {
                AffinityOperator::RequireSameNode => (true, true),
                AffinityOperator::RequireDifferentNode => (true, false),
                AffinityOperator::PreferSameNode => (false, true),
                AffinityOperator::PreferDifferentNode => (false, false),
            };
            let pattern = Pattern::new(rule.value());
            self.add(strict, same, instances().filter(|machine| selects(rule.key(), &pattern, machine)));
        }
    }
}

/// Leaves the candidates that the wishes allow; `None` when there is none.
///
/// With a strict wish the others are dropped. Wanting the nodes of instances that are on several means one of those
/// nodes, here the first; wanting the node of an instance that does not exist cannot be satisfied.
pub(super) fn narrow(candidates: &mut BTreeSet<ComputeNodeId>, wanted: &Wanted) -> Option<()> {
    let strict = wanted.0.iter().any(|wish| wish.strict);
    for wish in wanted.0.iter().filter(|wish| wish.strict == strict) {
        let is_meant = |node: &ComputeNodeId| match wish.same {
            true => wish.nodes.first() == Some(node),
            false => !wish.nodes.contains(node),
        };
        if strict || candidates.iter().any(is_meant) {
            candidates.retain(is_meant);
        }
    }
    (!candidates.is_empty()).then_some(())
}

enum Pattern {
    Exact(String),
    Glob(String),
    /// `None` for an expression that JavaScript may know and this engine does not: it matches nothing.
    Regex(Option<Regex>),
}

impl Pattern {
    fn new(value: &AffinityValue) -> Self {
        match value {
            AffinityValue::Exact(text) => Self::Exact(text.clone()),
            AffinityValue::Glob(text) => Self::Glob(text.clone()),
            AffinityValue::Regex(text) => Self::Regex(Regex::new(text).ok()),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Glob(pattern) => glob(pattern, text),
            Self::Regex(regex) => regex.as_ref().is_some_and(|regex| regex.is_match(text)),
        }
    }
}

fn selects(key: &AffinityKey, pattern: &Pattern, machine: &Machine) -> bool {
    match key {
        AffinityKey::Instance => {
            let short = |text: &str| {
                text.len() >= SHORT_ID && machine.id.as_uuid().simple().to_string().starts_with(text)
            };
            pattern.matches(&machine.name)
                || pattern.matches(&machine.id.to_string())
                || matches!(pattern, Pattern::Exact(text) if short(text))
        }
        AffinityKey::Tag(name) => machine.tags.get(name).is_some_and(|value| match value {
            Value::String(text) => pattern.matches(text),
            other => pattern.matches(&other.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests;
