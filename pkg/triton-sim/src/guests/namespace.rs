//! A network of its own for the simulator: a new network namespace in which every address of the data centre's
//! subnets is local.
//!
//! Guests answer on their own addresses, such as 192.168.128.5. Such an address has to be somewhere, and it
//! must never be on the host: so the process leaves the host's network for an empty one, which an ordinary
//! user may make together with a user namespace. There, a route of type `local` for each subnet lets any
//! process bind any address of it, and connect to it; nothing gets in or out. The namespace goes with its last
//! process.
//!
//! Who wants to talk to guests has to be inside, too. That is what `triton-sim exec -- COMMAND` is for: its
//! `main` calls [`enter`] before it starts any thread, starts the simulator, and then runs COMMAND as a child,
//! which inherits the namespace (and may be a shell, a test, or a whole control plane). The example
//! `private-network` does the same without a simulator. The loopback interface of the namespace is another one
//! than the host's: a listener on 127.0.0.1 inside is not seen outside.
//!
//! The process keeps its user and group ids. In the user namespace that an ordinary user gets, these are the
//! only ones there are: files of other users appear to be `nobody`'s, and `sudo` does not work. Root needs no
//! user namespace and gets none where it may do without.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use ipnet::Ipv4Net;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder, new_connection};

/// The loopback interface is the first of every network namespace.
const LOOPBACK: u32 = 1;
/// The kernel's table of local addresses (`local` in /etc/iproute2/rt_tables).
const TABLE_LOCAL: u32 = 255;
/// Who may bind the ports below 1024. A command keeps the user's id and so has no capability for it.
const UNPRIVILEGED_PORTS: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// What to do when the system makes no namespaces for this user.
const REMEDY: &str = "allow user namespaces (sysctl user.max_user_namespaces above 0, \
     kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 where they exist; \
     in a container, its seccomp profile), run as root, or start without guests";

/// Why there is no private network.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// Namespaces are entered thread by thread, so there must be only one.
    #[error(
        "cannot enter a private network: the process has {threads} threads already; enter it first in main"
    )]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// The threads could not be counted.
    #[error("cannot count the threads of the process: /proc must be mounted")]
    CountThreads(#[source] io::Error),
    /// The system does not let this user have namespaces.
    #[error("cannot make a private network: {REMEDY}")]
    Unshare(#[source] Errno),
    /// The user namespace is there, but is not to be used.
    #[error("cannot write {file} in a new user namespace: {REMEDY}")]
    MapIds {
        /// The file.
        file: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no way to talk to the kernel about the network.
    #[error("cannot open a netlink socket to set up the private network")]
    Netlink(#[source] io::Error),
    /// The loopback interface stays down.
    #[error("cannot bring up the loopback interface of the private network")]
    Loopback(#[source] rtnetlink::Error),
    /// A subnet could not be made local.
    #[error("cannot make {network} local in the private network: give a subnet such as 192.168.128.0/22")]
    Route {
        /// The subnet.
        network: Ipv4Net,
        /// Why.
        #[source]
        source: rtnetlink::Error,
    },
}

/// Moves the process to a new network in which the addresses of `subnets` are local, as are 127.0.0.0/8.
///
/// To be called first in `main`, outside of any asynchronous runtime. Everything that the process starts
/// later, threads and children, is in the new network. Every port may be bound there without privilege.
///
/// # Errors
///
/// [`NamespaceError`]. The process may then be in a new network that is not complete: it should end.
pub fn enter(subnets: &[Ipv4Net]) -> Result<(), NamespaceError> {
    let threads = fs::read_dir("/proc/self/task").map_err(NamespaceError::CountThreads)?.count();
    if threads != 1 {
        return Err(NamespaceError::Threads { threads });
    }
    // Root may, unless it is that of a container: then it may what any user may.
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => enter_as_user()?,
        result => result.map_err(NamespaceError::Unshare)?,
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(NamespaceError::Netlink)?;
    runtime.block_on(set_up(subnets))?;
    // Not every system lets go of these ports; the simulator itself may bind them all the same.
    if let Err(error) = fs::write(UNPRIVILEGED_PORTS, "0") {
        tracing::debug!(%error, "only the simulator may bind ports below 1024 in the private network");
    }
    Ok(())
}

/// Whether a process here can listen on `ip`: in a private network that somebody prepared, or because the
/// address is one of the machine's own.
pub fn can_bind(ip: Ipv4Addr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

fn enter_as_user() -> Result<(), NamespaceError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(NamespaceError::Unshare)?;
    // Without this, a process could drop a group that denies it something (user_namespaces(7)).
    map_ids("/proc/self/setgroups", "deny")?;
    map_ids("/proc/self/uid_map", &format!("{user} {user} 1"))?;
    map_ids("/proc/self/gid_map", &format!("{group} {group} 1"))
}

fn map_ids(file: &'static str, text: &str) -> Result<(), NamespaceError> {
    fs::write(Path::new(file), text).map_err(|source| NamespaceError::MapIds { file, source })
}

async fn set_up(subnets: &[Ipv4Net]) -> Result<(), NamespaceError> {
    let (connection, handle, _) = new_connection().map_err(NamespaceError::Netlink)?;
    let connection = tokio::spawn(connection);
    let up = LinkUnspec::new_with_index(LOOPBACK).up().build();
    handle.link().set(up).execute().await.map_err(NamespaceError::Loopback)?;
    for network in subnets {
        add_local(&handle, *network)
            .await
            .map_err(|source| NamespaceError::Route { network: *network, source })?;
    }
    connection.abort();
    Ok(())
}

/// As `ip route replace local NETWORK dev lo`.
async fn add_local(handle: &Handle, network: Ipv4Net) -> Result<(), rtnetlink::Error> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(network.network(), network.prefix_len())
        .output_interface(LOOPBACK)
        .table_id(TABLE_LOCAL)
        .scope(RouteScope::Host)
        .kind(RouteType::Local)
        .build();
    handle.route().add(route).replace().execute().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_told_to_enter_earlier() {
        // The test runs in a thread beside the main one.
        let error = enter(&[]).expect_err("threads");
        assert!(matches!(error, NamespaceError::Threads { threads } if threads > 1), "{error:?}");
        assert!(error.to_string().contains("enter it first in main"), "{error}");
    }

    #[test]
    fn addresses_of_this_machine_can_be_bound_and_those_of_others_not() {
        assert!(can_bind(Ipv4Addr::LOCALHOST));
        // TEST-NET-2 of RFC 5737, which no machine has.
        assert!(!can_bind(Ipv4Addr::new(198, 51, 100, 77)));
    }
}
