//! Clients of the changefeed that count what they get, and cost little.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::http::{Connection, Signer};
use crate::server::Server;

/// The headers of a handshake, with the key of RFC 6455's example.
const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const REGISTRATION: &str = r#"{"resource":"vm","subResources":["customer_metadata"]}"#;

/// What all clients together have seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Frames.
    pub(crate) frames: AtomicU64,
    /// Clients whose connection ended.
    pub(crate) ended: AtomicU64,
}

/// Opens clients that count until their connection ends.
pub(crate) async fn open(server: &Server, signer: &Signer, clients: usize) -> Result<Arc<Seen>> {
    let seen = Arc::new(Seen::default());
    let address = server.address("TRITON_URL")?;
    let handshake = signer.request("GET", "/my/changefeed", UPGRADE, "")?;
    for _ in 0..clients {
        let mut connection = Connection::open(address).await?;
        let reply = connection.ask(&handshake).await?;
        if reply.status != 101 {
            bail!("the changefeed answers {}", reply.status);
        }
        // A text frame, with a mask of zeros.
        let length = u8::try_from(REGISTRATION.len())?;
        connection.stream.write_all(&[0x81, 0x80 | length, 0, 0, 0, 0]).await?;
        connection.stream.write_all(REGISTRATION.as_bytes()).await?;
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            count(connection, &seen).await;
            seen.ended.fetch_add(1, Ordering::Relaxed);
        });
    }
    Ok(seen)
}

async fn count(mut connection: Connection, seen: &Seen) {
    let mut buffer = vec![0; 1 << 15];
    let mut frames = Frames::default();
    while let Ok(read @ 1..) = connection.stream.read(&mut buffer).await {
        let found = frames.pass(buffer.get(..read).unwrap_or_default());
        seen.frames.fetch_add(found, Ordering::Relaxed);
    }
}

/// Finds where frames begin in a stream of them.
#[derive(Default)]
struct Frames {
    /// What is known of a frame's head.
    head: Vec<u8>,
    /// How much of its body is yet to come.
    body: u64,
}

impl Frames {
    /// Passes over bytes, and says how many frames ended their head in them.
    fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let mut found = 0;
        while let Some((first, rest)) = bytes.split_first() {
            if self.body > 0 {
                let length = usize::try_from(self.body).unwrap_or(usize::MAX).min(bytes.len());
                self.body -= length as u64;
                bytes = bytes.get(length..).unwrap_or_default();
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            self.body = match self.head.as_slice() {
                [_, length @ ..=125] => u64::from(*length),
                [_, 126, a, b] => u64::from(u16::from_be_bytes([*a, *b])),
                [_, 127, length @ ..] if length.len() == 8 => {
                    length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
                }
                _ => continue,
            };
            self.head.clear();
            found += 1;
        }
        found
    }
}
