//! Signed requests that are made once and sent many times, over connections that stay open: a client that costs
//! little, so that the processors are the server's.
//!
//! CloudAPI takes a signature as long as its date is near, and checks it each time.

use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use triton::auth::PrivateKey;

use crate::server::Server;

/// Signs for the account.
pub(crate) struct Signer {
    key: PrivateKey,
    key_id: String,
}

impl Signer {
    /// With the key that the server made.
    pub(crate) fn of(server: &Server) -> Result<Self> {
        let key = PrivateKey::load(server.variable("TRITON_KEY_MATERIAL")?.as_ref(), None)?;
        let account = server.variable("TRITON_ACCOUNT")?;
        let key_id = format!("/{account}/keys/{}", key.public_key().fingerprint());
        Ok(Self { key, key_id })
    }

    /// A whole request, with further lines of headers and a JSON body.
    pub(crate) fn request(&self, method: &str, target: &str, headers: &str, body: &str) -> Result<Vec<u8>> {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let text = format!("(request-target): {} {target}\ndate: {date}", method.to_lowercase());
        let signature = self.key.sign(text.as_bytes())?;
        let (key_id, algorithm) = (&self.key_id, signature.algorithm);
        let bytes = STANDARD.encode(&signature.bytes);
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\ndate: {date}\r\nauthorization: Signature keyId=\"{key_id}\",\
             algorithm=\"{algorithm}\",headers=\"(request-target) date\",signature=\"{bytes}\"\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        Ok(request.into_bytes())
    }
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Its JSON, when the status is that of a success.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// A connection that stays open.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1 << 12) })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Reply> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (status, body_at, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end])?;
                let status = head.get(9..12).context("no status")?.parse()?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                break (status, end + 4, length.unwrap_or("0").parse::<usize>()?);
            }
        };
        while self.buffer.len() < body_at + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the answer breaks off");
            }
        }
        Ok(Reply { status, body: self.buffer[body_at..body_at + length].to_vec() })
    }
}
