//! Connecting.

use std::io;
use std::net::IpAddr;

use tokio::net::TcpStream;

use crate::probes::Finding;

/// Succeeds when the port accepts a connection.
pub(super) async fn connects(host: Option<&str>, address: IpAddr, port: u16) -> Finding {
    match connect(host, address, port).await {
        Ok(_) => Finding::Success,
        Err(error) => Finding::Failure(format!("cannot connect to port {port}: {error}")),
    }
}

/// Connects to the host, or to the pod's address.
pub(super) async fn connect(host: Option<&str>, address: IpAddr, port: u16) -> io::Result<TcpStream> {
    match host {
        Some(host) => TcpStream::connect((bare(host), port)).await,
        None => TcpStream::connect((address, port)).await,
    }
}

/// A literal IPv6 address may be in brackets.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
