//! instance_name
