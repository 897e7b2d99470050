//! What checks find, as lines.

use std::fmt;

use serde::Serialize;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warning,
    /// It does not work.
    Failure,
}

impl Level {
    /// For lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What one check finds: a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How good it is.
    pub level: Level,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found; and, where it is not good, what to do. One line, without anything secret.
    pub text: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, text: text.into() }
    }

    /// It works, and somebody should look.
    pub fn warning(subject: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Warning, subject, text: text.into() }
    }

    /// It does not work.
    pub fn failure(subject: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Failure, subject, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}: {}", self.level.as_str(), self.subject, self.text)
    }
}

/// What all checks find.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The lines, in the order in which they are shown.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings are as good as this.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// A line each.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_begin_with_how_good_it_is() {
        assert_eq!(Finding::ok("cns", "on").to_string(), "ok       cns: on");
        assert_eq!(Finding::failure("account", "no").to_string(), "failure  account: no");
    }

    #[test]
    fn programs_are_told_the_same() {
        let findings = vec![Finding::ok("cns", "on"), Finding::warning("limit", "9 of 10")];
        let report = Report { findings };
        assert_eq!(report.to_string(), "ok       cns: on\nwarning  limit: 9 of 10\n");
        assert_eq!([Level::Ok, Level::Warning, Level::Failure].map(|it| report.count(it)), [1, 1, 0]);
        let expected = json!({"findings": [
            {"level": "ok", "subject": "cns", "text": "on"},
            {"level": "warning", "subject": "limit", "text": "9 of 10"},
        ]});
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    }
}
