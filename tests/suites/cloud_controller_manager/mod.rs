//! The cloud controller manager as a process, with the role that it ships with: its port, its credentials, its replicas,
//! and its sub-commands.

mod cleanup;
mod discovery;
mod doctor;
mod explain;
mod port;
mod replicas;
mod rotation;
mod stage;
mod sub_commands;
