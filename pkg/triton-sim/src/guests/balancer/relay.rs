//! Forwards bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::backend::Backend;

/// Connects a client with a server, and carries what they say until both have ended. Without a server the client's
/// connection is closed.
pub(super) async fn serve(mut client: TcpStream, header: Option<Vec<u8>>, backend: &Arc<Backend>) {
    let Some(mut connected) = backend.connect(None).await else { return };
    let carried = async {
        if let Some(header) = header {
            connected.socket.write_all(&header).await?;
        }
        copy_bidirectional(&mut client, &mut connected.socket).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "a connection through a load balancer ended");
    }
}

/// The header of the PROXY protocol, version 2, of a TCP connection over IPv4.
pub(super) fn header(client: SocketAddr, local: SocketAddr) -> Option<Vec<u8>> {
    let (SocketAddr::V4(client), SocketAddr::V4(local)) = (client, local) else { return None };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    // Version 2 and PROXY; TCP over IPv4; the length of what follows.
    header.extend([0x21, 0x11, 0, 12]);
    header.extend(client.ip().octets());
    header.extend(local.ip().octets());
    header.extend(client.port().to_be_bytes());
    header.extend(local.port().to_be_bytes());
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_who_connects_to_whom() {
        let header =
            header("192.168.128.9:4660".parse().unwrap(), "203.0.113.5:80".parse().unwrap()).unwrap();
        let (signature, rest) = header.split_at(12);
        assert_eq!(signature, [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
        assert_eq!(rest, [0x21, 0x11, 0, 12, 192, 168, 128, 9, 203, 0, 113, 5, 0x12, 0x34, 0, 80]);
    }
}
