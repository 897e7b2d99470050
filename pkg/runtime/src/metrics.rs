//! The process's metrics: one registry, and what every process reports.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::clients::{Limiter, Priority};
use crate::leader::Claim;

/// A metric could not be registered or printed: its name is taken or malformed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} metric {name}")]
pub struct MetricsError {
    operation: &'static str,
    name: String,
    source: prometheus::Error,
}

/// The registry. Cloning gives another handle on the same.
#[derive(Debug, Clone)]
pub struct Metrics(Registry);

impl Metrics {
    /// A registry with the process's own metrics: memory, CPU, open files, start.
    ///
    /// # Errors
    ///
    /// [`MetricsError`], which only a mistake in this crate can cause.
    pub fn new() -> Result<Self, MetricsError> {
        let metrics = Self(Registry::new());
        metrics.register("process", ProcessCollector::for_self())?;
        Ok(metrics)
    }

    /// Adds a collector of one's own, such as one that reads its values when it is asked. `name` is for errors.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is taken.
    pub fn register(&self, name: &str, collector: impl Collector + 'static) -> Result<(), MetricsError> {
        self.0.register(Box::new(collector)).map_err(|source| failed("register", name, source))
    }

    /// A counter without labels.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is taken or malformed.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.made(name, IntCounter::new(name, help))
    }

    /// Counters by label.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when a name is taken or malformed.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricsError> {
        self.made(name, IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A gauge without labels.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is taken or malformed.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.made(name, IntGauge::new(name, help))
    }

    /// Gauges by label.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when a name is taken or malformed.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricsError> {
        self.made(name, IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A histogram without labels; `buckets` are upper bounds, in the metric's unit.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is taken or malformed, or the bounds do not rise.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricsError> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(name, Histogram::with_opts(options))
    }

    /// Histograms by label; `buckets` are upper bounds, in the metric's unit.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when a name is taken or malformed, or the bounds do not rise.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, MetricsError> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(name, HistogramVec::new(options, labels))
    }

    /// Reports leadership under the name that Kubernetes' own components use for it:
    /// `leader_election_master_status{name}`, 1 while the claim is valid.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when it is reported already.
    pub fn watch_claim(&self, lease: &str, claim: &Claim) -> Result<(), MetricsError> {
        let claim = claim.clone();
        let name = "leader_election_master_status";
        let help = "1 while this process leads under the named lease, else 0.";
        let read = move || vec![i64::from(claim.is_valid())];
        self.register(name, Read::new(name, help, "name", &[lease], read)?)
    }

    /// Reports how many requests wait for their turn: `kube_client_waiting_requests{priority}`.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when it is reported already.
    pub fn watch_limiter(&self, limiter: &Limiter) -> Result<(), MetricsError> {
        let limiter = limiter.clone();
        let name = "kube_client_waiting_requests";
        let help = "Requests to the Kubernetes API that wait for the client-side rate limit.";
        let priorities = Priority::ALL.map(Priority::as_str);
        let read = move || limiter.usage().waiting.map(|n| i64::try_from(n).unwrap_or(i64::MAX)).to_vec();
        self.register(name, Read::new(name, help, "priority", &priorities, read)?)
    }

    /// Adds gauges that are read when they are asked for: one for each value of a label, in the order of what `read`
    /// returns.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is taken or malformed.
    pub fn read_gauges(
        &self,
        name: &str,
        help: &str,
        (label, values): (&str, &[&str]),
        read: impl Fn() -> Vec<i64> + Send + Sync + 'static,
    ) -> Result<(), MetricsError> {
        self.register(name, Read::new(name, help, label, values, read)?)
    }

    /// Adds counters that are read when they are asked for, as [`Metrics::read_gauges`] does; what is read must not fall.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is taken or malformed.
    pub fn read_counters(
        &self,
        name: &str,
        help: &str,
        (label, values): (&str, &[&str]),
        read: impl Fn() -> Vec<u64> + Send + Sync + 'static,
    ) -> Result<(), MetricsError> {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])
            .map_err(|source| failed("make", name, source))?;
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.register(name, Count { counters, values, read, turn: Mutex::new(()) })
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when some family is inconsistent.
    pub fn text(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.0.gather(), &mut text);
        encoded.map_err(|source| failed("print", "families", source))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn made<C: Collector + Clone + 'static>(
        &self,
        name: &str,
        made: Result<C, prometheus::Error>,
    ) -> Result<C, MetricsError> {
        let metric = made.map_err(|source| failed("make", name, source))?;
        self.register(name, metric.clone())?;
        Ok(metric)
    }
}

fn failed(operation: &'static str, name: &str, source: prometheus::Error) -> MetricsError {
    MetricsError { operation, name: name.to_owned(), source }
}

/// Gauges that are read when they are asked for.
struct Read<F> {
    gauges: IntGaugeVec,
    values: Vec<String>,
    read: F,
}

impl<F: Fn() -> Vec<i64>> Read<F> {
    /// One gauge for each value of a label, in the order of what `read` returns.
    fn new(name: &str, help: &str, label: &str, values: &[&str], read: F) -> Result<Self, MetricsError> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])
            .map_err(|source| failed("make", name, source))?;
        Ok(Self { gauges, values: values.iter().map(|&value| value.to_owned()).collect(), read })
    }
}

impl<F: Fn() -> Vec<i64> + Send + Sync> Collector for Read<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (value, number) in self.values.iter().zip((self.read)()) {
            self.gauges.with_label_values(&[value.as_str()]).set(number);
        }
        self.gauges.collect()
    }
}

/// Counters that are read when they are asked for.
struct Count<F> {
    counters: IntCounterVec,
    values: Vec<String>,
    read: F,
    /// Two who ask at the same time would both add what is missing.
    turn: Mutex<()>,
}

impl<F: Fn() -> Vec<u64> + Send + Sync> Collector for Count<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.counters.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for (value, number) in self.values.iter().zip((self.read)()) {
            let counter = self.counters.with_label_values(&[value.as_str()]);
            counter.inc_by(number.saturating_sub(counter.get()));
        }
        self.counters.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Limits;

    #[test]
    fn gauges_and_counters_are_read_when_asked_for() {
        let metrics = Metrics::new().unwrap();
        let read = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(3));
        let (counted, asked) = (read.clone(), std::sync::atomic::Ordering::Relaxed);
        metrics.read_counters("c_total", "C.", ("kind", &["a"]), move || vec![counted.load(asked)]).unwrap();
        metrics.read_gauges("g", "G.", ("kind", &["a", "b"]), || vec![-1, 2]).unwrap();
        assert!(metrics.text().unwrap().contains("c_total{kind=\"a\"} 3\n"));
        read.store(5, asked);
        let text = metrics.text().unwrap();
        for line in ["c_total{kind=\"a\"} 5\n", "g{kind=\"a\"} -1\n", "g{kind=\"b\"} 2\n"] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn prints_what_was_registered_and_the_process() {
        let metrics = Metrics::new().unwrap();
        metrics
            .counters("widgets_total", "Widgets.", &["kind"])
            .unwrap()
            .with_label_values(&["round"])
            .inc_by(3);
        metrics.histogram("age_seconds", "Age.", &[1.0, 2.0]).unwrap().observe(1.5);
        let text = metrics.text().unwrap();
        for line in [
            "widgets_total{kind=\"round\"} 3",
            "age_seconds_bucket{le=\"2\"} 1",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_name_can_be_taken_once_and_must_be_one() {
        let metrics = Metrics::new().unwrap();
        metrics.gauge("size", "Size.").unwrap();
        assert_eq!(metrics.gauge("size", "Size.").unwrap_err().to_string(), "cannot register metric size");
        assert_eq!(
            metrics.gauge("not a name", "x").unwrap_err().to_string(),
            "cannot make metric not a name"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_and_the_limiter_are_read_when_asked_for() {
        let metrics = Metrics::new().unwrap();
        metrics.watch_claim("ccm", &Claim::without_election()).unwrap();
        let limiter = Limiter::new(Limits { rate: 1.0, burst: 1 });
        metrics.watch_limiter(&limiter).unwrap();
        limiter.turn(Priority::Normal).await;
        let waiting = tokio::spawn(async move { limiter.turn(Priority::Background).await });
        tokio::task::yield_now().await;
        let text = metrics.text().unwrap();
        for line in [
            "leader_election_master_status{name=\"ccm\"} 1",
            "kube_client_waiting_requests{priority=\"background\"} 1",
            "kube_client_waiting_requests{priority=\"urgent\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        waiting.abort();
    }
}
