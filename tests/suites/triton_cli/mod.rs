//! The official Triton CLI, unmodified, against the simulated data centre: every command that sends requests
//! (reference 7.3).
//!
//! Each test has a data centre and a home folder of its own. The tests of one subject share a file.

mod account;
mod certificates;
mod changefeed;
mod errors;
mod firewall;
mod images_packages;
mod instances;
mod migrations;
mod networks_fabrics;
mod nics_disks_snapshots;
mod rbac;
mod stage;
mod tags_metadata;
mod volumes;
