//! Keys, signatures and certificates, checked by `ssh-keygen`, `ssh-agent` and `openssl`.

mod agent;
mod certificate;
mod files;
mod refused;
mod search;
mod secrets;
mod tools;
