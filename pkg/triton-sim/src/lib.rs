//! A simulated Triton data centre.
//!
//! CloudAPI, CNS, CMON and the guests of the instances in one process, so faithful that Triton's own clients
//! cannot tell (reference 7).

pub mod admin;
pub mod cloudapi;
pub mod cmon;
pub mod cns;
pub mod engine;
pub mod faults;
pub mod fixtures;
pub mod guests;
pub mod keys;
pub mod settings;
pub mod simulator;
mod stop;
pub mod view;
pub mod world;

pub use admin::Control;
pub use settings::{Preset, Settings};
pub use simulator::{Simulator, StartError};
