//! CMON, the container monitor: metrics of every running instance, measured from its compute node
//! (reference 4).

pub mod certificate;
mod client;
mod exposition;

pub use self::client::{CmonClient, CmonClientBuilder, Container, Discovery};
pub use self::exposition::{MetricKind, Metrics, Sample};
