//! Logs, and traces for those who collect them.
//!
//! Everything is logged through `tracing` to standard error, as text for people or as one JSON object per line for
//! machines. With an endpoint, spans also go to an OpenTelemetry collector; without one, none of that is started.

mod export;

use std::io;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use self::export::Exporter;

/// What is never of use: kube logs an error of its own for each call that fails, which the caller reports better, and
/// the crate below our leader election tells what we tell. russh's errors come to its caller too; on its own it logs what
/// peers send after the end of a command, and may show what was sent.
const ALWAYS: &str = "kube_client::client::builder=off,kube_leader_election=warn,russh=off";

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// What to log, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a list such as `info,runtime=debug,kube=trace`.
    pub level: String,
    /// How lines look.
    pub format: Format,
    /// The address of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://collector:4318`.
    pub otlp_endpoint: Option<String>,
    /// The name under which a collector knows this program.
    pub service: String,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter is not one.
    #[error("\"{level}\" is not a level or a list of target=level; correct --log-level")]
    Level {
        /// As given.
        level: String,
        /// What is wrong.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The endpoint is not an address.
    #[error("\"{endpoint}\" is not an http or https address; correct --otlp-endpoint")]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// The exporter could not be made.
    #[error("cannot export traces to {endpoint}; check --otlp-endpoint")]
    Export {
        /// As given.
        endpoint: String,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else in this process logs already.
    #[error("logs are set up already in this process")]
    Twice {
        /// What tracing says.
        source: tracing_subscriber::util::TryInitError,
    },
}

/// Keeps traces flowing. Hold it until the process ends, then [`finish`](Logs::finish).
#[derive(Debug)]
#[must_use = "traces that have not been sent are lost with it"]
pub struct Logs(Option<Exporter>);

impl Logs {
    /// Begins to log for the whole process. Needs a tokio runtime when there is an endpoint.
    ///
    /// # Errors
    ///
    /// [`LogError`]
    pub fn install(settings: &LogSettings) -> Result<Self, LogError> {
        let exporter = match &settings.otlp_endpoint {
            Some(endpoint) => Some(Exporter::start(endpoint, &settings.service)?),
            None => None,
        };
        let traces = exporter.as_ref().map(Exporter::layer);
        tracing_subscriber::registry()
            .with(traces)
            .with(lines(settings.format, io::stderr))
            .with(filter(&settings.level)?)
            .try_init()
            .map_err(|source| LogError::Twice { source })?;
        Ok(Self(exporter))
    }

    /// Sends what traces are left, for a few seconds at most. Blocks: call it when nothing else is to be done.
    pub fn finish(self) {
        if let Some(exporter) = self.0 {
            exporter.finish();
        }
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let wrong = |source| LogError::Level { level: level.to_owned(), source };
    EnvFilter::builder().parse(format!("{level},{ALWAYS}")).map_err(wrong)
}

fn lines<S, W>(format: Format, to: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(to).with_ansi(false);
    match format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Lines kept in memory.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::registry()
            .with(lines(format, move || writer.clone()))
            .with(filter(level).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(node = "n1", "two\nlines");
            tracing::debug!("details");
            tracing::error!(target: "kube_client::client::builder", "failed with status 503");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let logged = logged(Format::Json, "info");
        let line: serde_json::Value = serde_json::from_str(logged.trim_end()).unwrap();
        assert_eq!(
            (&line["level"], &line["node"], &line["message"]),
            (&"INFO".into(), &"n1".into(), &"two\nlines".into())
        );
    }

    #[test]
    fn the_level_chooses_and_the_noise_of_kube_is_left_out() {
        for (level, lines) in [("info", 1), ("debug", 2), ("error", 0), ("warn,runtime=debug", 2), ("off", 0)]
        {
            let logged = logged(Format::Json, level);
            assert_eq!(logged.lines().count(), lines, "{level}: {logged}");
        }
    }

    #[test]
    fn text_has_no_colours_that_a_file_would_keep() {
        let logged = logged(Format::Text, "info");
        assert!(logged.contains("INFO") && logged.contains("node=\"n1\""), "{logged}");
        assert!(!logged.contains('\u{1b}'), "{logged}");
    }

    #[test]
    fn a_level_that_is_none_is_refused_with_the_flag() {
        let error = filter("runtime=loud").unwrap_err().to_string();
        assert_eq!(error, "\"runtime=loud\" is not a level or a list of target=level; correct --log-level");
    }
}
