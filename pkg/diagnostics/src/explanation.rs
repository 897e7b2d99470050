//! What a controller thinks of one object: what should be, what is, and what it would do about the difference.

use std::fmt::{self, Write as _};
use std::time::Duration;

use runtime::events::Severity;
use serde::Serialize;

/// All that a controller thinks of one object, by the plan that it would carry out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The object's kind, such as `service`.
    pub kind: &'static str,
    /// Its name; with its namespace before it, where it has one.
    pub name: String,
    /// What should be.
    pub desired: Vec<Fact>,
    /// What is.
    pub observed: Vec<Fact>,
    /// What would be done now, in order: nothing where all is as it should be.
    pub plan: Vec<String>,
    /// What users would be told.
    pub notes: Vec<Remark>,
    /// In so many seconds it would be looked at again though nothing has happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_in_seconds: Option<u64>,
}

/// Something that should be, or is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What.
    pub what: String,
    /// How. Nothing secret.
    pub value: String,
}

/// Something that users would be told, as an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// `Normal` or `Warning`, as events have it.
    #[serde(rename = "type")]
    pub severity: &'static str,
    /// Why, for machines.
    pub reason: String,
    /// One sentence.
    pub text: String,
}

impl Remark {
    /// An event that would be recorded.
    pub fn new(severity: Severity, reason: impl Into<String>, text: impl Into<String>) -> Self {
        let severity = match severity {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        };
        Self { severity, reason: reason.into(), text: text.into() }
    }

    fn is_warning(&self) -> bool {
        self.severity == "Warning"
    }
}

impl Explanation {
    /// Of this object; nothing is known yet.
    pub fn of(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), ..Self::default() }
    }

    /// Adds something that should be.
    pub fn desire(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.desired.push(Fact { what: what.into(), value: value.into() });
    }

    /// Adds something that is.
    pub fn observe(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.observed.push(Fact { what: what.into(), value: value.into() });
    }

    /// When it would be looked at again.
    pub fn again(&mut self, pause: Option<Duration>) {
        self.again_in_seconds = pause.map(|pause| pause.as_secs());
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.notes.iter().filter(|note| note.is_warning()).count()
    }

    /// Whether there is nothing to do and nothing to warn of.
    pub fn is_settled(&self) -> bool {
        self.plan.is_empty() && self.warnings() == 0
    }
}

/// Sections with a line for each fact, step and note.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}/{}", self.kind, one_line(&self.name))?;
        facts(f, "Desired", &self.desired)?;
        facts(f, "Observed", &self.observed)?;
        writeln!(f, "Plan:")?;
        if self.plan.is_empty() {
            writeln!(f, "  nothing to do")?;
        }
        for (number, step) in self.plan.iter().enumerate() {
            writeln!(f, "  {}. {}", number + 1, one_line(step))?;
        }
        if let Some(seconds) = self.again_in_seconds {
            writeln!(f, "  looked at again in {seconds} s")?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "Notes:")?;
        }
        for Remark { severity, reason, text } in &self.notes {
            writeln!(f, "  {severity:<7}  {reason}: {}", one_line(text))?;
        }
        Ok(())
    }
}

fn facts(f: &mut fmt::Formatter<'_>, title: &str, facts: &[Fact]) -> fmt::Result {
    writeln!(f, "{title}:")?;
    if facts.is_empty() {
        writeln!(f, "  nothing")?;
    }
    let width = facts.iter().map(|fact| fact.what.chars().count()).max().unwrap_or_default() + 1;
    for Fact { what, value } in facts {
        let mut name = String::new();
        write!(name, "{}:", one_line(what))?;
        writeln!(f, "  {}", format!("{name:<width$}  {}", one_line(value)).trim_end())?;
    }
    Ok(())
}

/// One line each, whatever somebody wrote into a name or a message.
fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Explanation {
        let mut sample = Explanation::of("service", "default/web");
        sample.desire("name", "web-default");
        sample.observe("hostname", "none");
        sample.observe("node a", "serving\nwell");
        sample.plan.push("write the status".to_owned());
        sample.notes.push(Remark::new(Severity::Warning, "Reason", "text"));
        sample.again(Some(Duration::from_millis(5900)));
        sample
    }

    #[test]
    fn people_read_sections() {
        let expected = "\
service/default/web
Desired:
  name:  web-default
Observed:
  hostname:  none
  node a:    serving well
Plan:
  1. write the status
  looked at again in 5 s
Notes:
  Warning  Reason: text
";
        assert_eq!(sample().to_string(), expected);
        let nothing = Explanation::of("node", "a").to_string();
        assert_eq!(nothing, "node/a\nDesired:\n  nothing\nObserved:\n  nothing\nPlan:\n  nothing to do\n");
    }

    #[test]
    fn programs_are_told_the_same() {
        let expected = json!({
            "kind": "service", "name": "default/web",
            "desired": [{"what": "name", "value": "web-default"}],
            "observed": [
                {"what": "hostname", "value": "none"}, {"what": "node a", "value": "serving\nwell"},
            ],
            "plan": ["write the status"],
            "notes": [{"type": "Warning", "reason": "Reason", "text": "text"}],
            "again_in_seconds": 5,
        });
        assert_eq!(serde_json::to_value(sample()).unwrap(), expected);
    }

    #[test]
    fn settled_is_what_needs_nothing_and_warns_of_nothing() {
        let mut explanation = Explanation::of("node", "a");
        assert!(explanation.is_settled());
        explanation.notes.push(Remark::new(Severity::Normal, "Synced", ""));
        assert!(explanation.is_settled());
        explanation.notes.push(Remark::new(Severity::Warning, "Bad", ""));
        assert!(!explanation.is_settled());
        assert!(!sample().is_settled());
    }
}
