//! Prometheus' text format, as CMON writes it (reference 4.4). Pure.

use std::collections::BTreeMap;

/// The metrics of one instance at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// Every sample, in the order of the text.
    pub samples: Vec<Sample>,
    /// The declared kinds, by metric name.
    pub kinds: BTreeMap<Box<str>, MetricKind>,
    /// How many lines could not be read. The others are good all the same.
    pub unreadable_lines: usize,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name, such as `mem_agg_usage`.
    pub name: Box<str>,
    /// Label names and values, in the order of the text.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// The value; its unit is the metric's (reference 4.4). May be NaN or infinite.
    pub value: f64,
    /// When it was measured, in milliseconds since 1970 UTC, where the text says.
    pub timestamp_ms: Option<i64>,
}

/// What kind of metric a name was declared to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, but for restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Quantiles.
    Summary,
    /// Not declared, or declared as something else.
    Untyped,
}

impl Metrics {
    /// Reads a text. Lines that cannot be read are counted and left out.
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.strip_prefix('#') {
                Some(comment) => metrics.declare(comment),
                None => match sample(line) {
                    Some(sample) => metrics.samples.push(sample),
                    None => metrics.unreadable_lines += 1,
                },
            }
        }
        metrics
    }

    /// The samples of one metric.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| &*sample.name == name)
    }

    /// The value of a metric that has one sample. With several, such as one per NIC, that of the first.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.of(name).next().map(|sample| sample.value)
    }

    fn declare(&mut self, comment: &str) {
        let mut words = comment.split_whitespace();
        if words.next() != Some("TYPE") {
            return;
        }
        if let (Some(name), Some(kind)) = (words.next(), words.next()) {
            let kind = match kind {
                "counter" => MetricKind::Counter,
                "gauge" => MetricKind::Gauge,
                "histogram" => MetricKind::Histogram,
                "summary" => MetricKind::Summary,
                _ => MetricKind::Untyped,
            };
            self.kinds.insert(name.into(), kind);
        }
    }
}

/// `name{label="value",…} value timestamp`
fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at_checked(name_end)?;
    if !is_name(name) {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next()?.parse().ok()?;
    let timestamp_ms = match words.next() {
        Some(word) => Some(word.parse().ok()?),
        None => None,
    };
    words.next().is_none().then(|| Sample { name: name.into(), labels, value, timestamp_ms })
}

type Labels = Vec<(Box<str>, Box<str>)>;

/// Reads labels up to the closing brace, and returns what follows it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        if !is_name(name.trim()) {
            return None;
        }
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        labels.push((name.trim().into(), value.into()));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// Reads up to the closing quote, and returns what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':');
    starts && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(name: &str, labels: &[(&str, &str)], value: f64, timestamp_ms: Option<i64>) -> Sample {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Sample { name: name.into(), labels, value, timestamp_ms }
    }

    #[test]
    fn a_text_of_cmon_is_read() {
        let metrics = Metrics::parse(concat!(
            "# HELP net_agg_bytes_in Aggregate inbound bytes\n",
            "# TYPE net_agg_bytes_in counter\n",
            "net_agg_bytes_in{interface=\"vnic0\",nic_tag=\"external\"} 1234\n",
            "net_agg_bytes_in{interface=\"vnic1\"} 5\n",
            "# TYPE mem_agg_usage gauge\n",
            "\n",
            "mem_agg_usage 6.5e7 1770026400123\n",
        ));
        assert_eq!(
            metrics.samples,
            [
                one("net_agg_bytes_in", &[("interface", "vnic0"), ("nic_tag", "external")], 1234.0, None),
                one("net_agg_bytes_in", &[("interface", "vnic1")], 5.0, None),
                one("mem_agg_usage", &[], 6.5e7, Some(1_770_026_400_123)),
            ]
        );
        assert_eq!(metrics.kinds.get("net_agg_bytes_in"), Some(&MetricKind::Counter));
        assert_eq!(metrics.value("mem_agg_usage"), Some(6.5e7));
        assert_eq!(metrics.of("net_agg_bytes_in").count(), 2);
        assert_eq!(metrics.value("cpu_user_usage"), None);
    }

    #[test]
    fn unreadable_lines_do_not_hide_the_others() {
        let bad = [
            "x",
            "1x 2",
            "x{a=\"b} 1",
            "x{a=b} 1",
            "x{a=\"b\"",
            "x{a=\"b\" c=\"d\"} 1",
            "x one",
            "x 1 2 3",
            "{} 1",
            "é 1",
        ];
        for line in bad {
            let metrics = Metrics::parse(&format!("a 1\n{line}\nb{{}} 2\n"));
            assert_eq!((metrics.samples.len(), metrics.unreadable_lines), (2, 1), "{line}");
        }
    }

    fn print(sample: &Sample) -> String {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> =
            sample.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let time = sample.timestamp_ms.map(|ms| format!(" {ms}")).unwrap_or_default();
        format!("{}{{{}}} {:?}{time}", sample.name, labels.join(","), sample.value)
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
            // A carriage return ends a line for some readers, and Prometheus has no escape for it.
            labels in prop::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,8}", "[^\r]{0,20}"), 0..4),
            value in prop::num::f64::NORMAL | prop::num::f64::ZERO,
            timestamp_ms in any::<Option<i64>>(),
        ) {
            let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            let sample = Sample { name: name.into(), labels, value, timestamp_ms };
            let read = Metrics::parse(&print(&sample));
            prop_assert_eq!(read.samples, [sample]);
        }

        #[test]
        fn no_text_panics(text in "(?s).{0,200}|[a-z{}\"=, #\\\\\n0-9]{0,200}") {
            let metrics = Metrics::parse(&text);
            prop_assert!(metrics.samples.len() + metrics.unreadable_lines <= text.lines().count());
        }
    }
}
