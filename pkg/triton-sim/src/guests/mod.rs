//! Guests.
#[cfg(test)]
mod fixture;
mod guest;
mod mdata;
pub mod namespace;
mod shell;
