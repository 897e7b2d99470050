//! CloudAPI's affinity rules (reference 2.15): those of the annotation, and those that translate the pod's own wishes.
//!
//! All pods of this kubelet are on one Kubernetes node, so what a pod wishes about hosts is for Triton to grant, whose
//! hosts are compute nodes. A wish names pods by labels; labels are tags, and a rule compares one tag. So:
//!
//! - A selector of exactly one label becomes a rule: one value, one of several, or any. Selectors of more labels at
//!   once, and labels whose key a rule cannot have (those with a `/`), are left out with a warning; to leave out a part of
//!   a selector would keep away from instances that were not meant.
//! - A rule sees the instances of the whole account, whatever their namespace or cluster.
//! - Anti-affinity that is required becomes a strict rule (`!=`), one that is preferred a soft one (`!=~`).
//! - A topology spread constraint becomes a soft rule: what it allows, a skew, no rule can count, and a strict rule
//!   would allow one pod per compute node.
//! - Where there are strict rules, Triton drops the soft ones.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodAffinityTerm, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use triton::grammar::affinity::{AffinityKey, AffinityOperator, AffinityRule, AffinityValue};

use super::annotations::{Annotations, Name};
use super::invalid;
use crate::pod::{Refusal, Warning};

/// The topology whose domains are hosts.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The rules, each once.
pub(super) fn rules(
    spec: &PodSpec,
    annotations: &Annotations<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, Refusal> {
    let mut rules: Vec<AffinityRule> = Vec::new();
    for text in annotations.list(Name::AFFINITY)? {
        let rule = text.parse().map_err(|error| {
            let message = format!("{error}; write rules such as role!=~database, separated by commas");
            invalid(annotations.field(Name::AFFINITY), message)
        })?;
        rules.push(rule);
    }
    for (field, operator, selector) in wishes(spec, warnings) {
        match translate(operator, selector) {
            Ok(rule) => rules.push(rule),
            Err(why) => warnings.push(warning(format!("{field} has no effect on compute nodes: {why}"))),
        }
    }
    let mut seen = Vec::new();
    rules.retain(|rule| {
        !seen.contains(rule) && {
            seen.push(rule.clone());
            true
        }
    });
    let soft = |rule: &&AffinityRule| {
        let operator = rule.operator();
        matches!(operator, AffinityOperator::PreferSameNode | AffinityOperator::PreferDifferentNode)
    };
    let dropped: Vec<String> = rules.iter().filter(soft).map(ToString::to_string).collect();
    if !dropped.is_empty() && dropped.len() < rules.len() {
        let message = format!("Triton drops the soft rules {} beside strict ones", dropped.join(", "));
        warnings.push(warning(message));
    }
    Ok(rules.iter().map(ToString::to_string).collect())
}

fn warning(message: String) -> Warning {
    Warning::new(Warning::AFFINITY, message)
}

type Wish<'a> = (String, AffinityOperator, Option<&'a LabelSelector>);

/// What the pod wishes about hosts, each with its field.
fn wishes<'a>(spec: &'a PodSpec, warnings: &mut Vec<Warning>) -> Vec<Wish<'a>> {
    let affinity = spec.affinity.as_ref();
    let anti = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let required = anti.and_then(|anti| anti.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = anti.and_then(|anti| anti.preferred_during_scheduling_ignored_during_execution.as_ref());
    let required = required.into_iter().flatten().map(|term| (term, AffinityOperator::RequireDifferentNode));
    let preferred = preferred
        .into_iter()
        .flatten()
        .map(|weighted| (&weighted.pod_affinity_term, AffinityOperator::PreferDifferentNode));
    let mut wishes = Vec::new();
    for (term, operator) in required.chain(preferred) {
        if let Some(selector) = by_host(term) {
            wishes.push(("spec.affinity.podAntiAffinity".to_owned(), operator, selector));
        }
    }
    if affinity.is_some_and(|affinity| affinity.pod_affinity.is_some()) {
        let message = "spec.affinity.podAffinity has no effect on compute nodes; use the annotation affinity \
                       with a rule such as role==~database";
        warnings.push(warning(message.to_owned()));
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        if constraint.topology_key == HOSTNAME {
            let field = format!("spec.topologySpreadConstraints[{index}]");
            if constraint.when_unsatisfiable == "DoNotSchedule" {
                let message =
                    format!("{field} is only preferred among compute nodes: no rule can count a skew");
                warnings.push(warning(message));
            }
            wishes.push((field, AffinityOperator::PreferDifferentNode, constraint.label_selector.as_ref()));
        }
    }
    wishes
}

/// The selector of a term about hosts.
fn by_host(term: &PodAffinityTerm) -> Option<Option<&LabelSelector>> {
    (term.topology_key == HOSTNAME).then_some(term.label_selector.as_ref())
}

/// One label of a selector, and what it must be.
fn translate(operator: AffinityOperator, selector: Option<&LabelSelector>) -> Result<AffinityRule, String> {
    let nothing = BTreeMap::new();
    let labels = selector.and_then(|selector| selector.match_labels.as_ref()).unwrap_or(&nothing);
    let expressions = selector.and_then(|selector| selector.match_expressions.as_ref());
    let expressions: Vec<_> = expressions.into_iter().flatten().collect();
    let (key, value) = match (labels.iter().collect::<Vec<_>>().as_slice(), expressions.as_slice()) {
        ([(key, value)], []) => (*key, AffinityValue::Exact((*value).clone())),
        ([], [expression]) => {
            let values = expression.values.as_deref().unwrap_or_default();
            let value = match (expression.operator.as_str(), values) {
                ("In", [value]) => AffinityValue::Exact(value.clone()),
                ("In", [_, ..]) => {
                    let values: Vec<String> = values.iter().map(|value| value.replace('.', r"\.")).collect();
                    AffinityValue::Regex(format!("^({})$", values.join("|")))
                }
                ("Exists", _) => AffinityValue::Glob("*".to_owned()),
                (other, _) => return Err(format!("an affinity rule cannot say {other}")),
            };
            (&expression.key, value)
        }
        _ => return Err("an affinity rule compares exactly one label".to_owned()),
    };
    AffinityRule::new(AffinityKey::Tag(key.clone()), operator, value).map_err(|error| error.to_string())
}
