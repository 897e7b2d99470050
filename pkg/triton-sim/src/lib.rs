//! A simulated Triton data centre.
//!
//! CloudAPI, CNS, CMON and the guests of the instances in one process, so faithful that Triton's own clients
//! cannot tell (reference 7).

pub mod cmon;
pub mod guests;
mod stop;
pub mod view;
