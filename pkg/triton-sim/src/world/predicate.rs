//! The small query language of ListVolumes: JSON such as `{"and": [{"eq": ["state", "ready"]}, …]}` (reference
//! 2.23).

use std::cmp::Ordering;

use serde_json::Value;

use super::error::WorldError;
use super::volumes::Volume;

/// A condition on a volume.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    /// The empty object, which always holds.
    True,
    And(Vec<Self>),
    Or(Vec<Self>),
    Compare(Comparison, String, Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a predicate may be about.
const FIELDS: [&str; 6] = ["id", "name", "network", "size", "state", "type"];

impl Predicate {
    /// Reads a predicate. JSON that is nested too deeply is refused by its parser.
    ///
    /// # Errors
    ///
    /// 409 for what is no predicate.
    pub(super) fn parse(text: &str) -> Result<Self, WorldError> {
        let value = serde_json::from_str::<Value>(text).ok();
        value.as_ref().and_then(Self::read).ok_or_else(|| {
            WorldError::invalid_argument(format!("VError: Could not parse JSON predicate {text}"))
        })
    }

    fn read(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let mut entries = object.iter();
        let Some((operator, operand)) = entries.next() else {
            return Some(Self::True);
        };
        if entries.next().is_some() {
            return None;
        }
        let operands = operand.as_array()?;
        let all = || operands.iter().map(Self::read).collect::<Option<Vec<_>>>();
        let comparison = match operator.as_str() {
            "and" => return Some(Self::And(all()?)),
            "or" => return Some(Self::Or(all()?)),
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        let [Value::String(field), value] = operands.as_slice() else {
            return None;
        };
        let right_type = if field == "size" { value.is_u64() } else { value.is_string() };
        let known = FIELDS.contains(&field.as_str()) && right_type;
        known.then(|| Self::Compare(comparison, field.clone(), value.clone()))
    }

    /// Whether it holds for a volume.
    pub(super) fn holds(&self, volume: &Volume) -> bool {
        match self {
            Self::True => true,
            Self::And(all) => all.iter().all(|predicate| predicate.holds(volume)),
            Self::Or(any) => any.iter().any(|predicate| predicate.holds(volume)),
            Self::Compare(comparison, field, wanted) => match field.as_str() {
                "size" => comparison.holds(volume.size_mib.cmp(&wanted.as_u64().unwrap_or_default())),
                "network" => {
                    let is_wanted = |text: String| Some(text.as_str()) == wanted.as_str();
                    let found = volume.networks.iter().any(|network| is_wanted(network.to_string()));
                    comparison.holds(if found { Ordering::Equal } else { Ordering::Less })
                }
                _ => {
                    let text = match field.as_str() {
                        "id" => volume.id.to_string(),
                        "name" => volume.name.clone(),
                        "state" => volume.state.as_str().to_owned(),
                        _ => "tritonnfs".to_owned(),
                    };
                    comparison.holds(text.as_str().cmp(wanted.as_str().unwrap_or_default()))
                }
            },
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
