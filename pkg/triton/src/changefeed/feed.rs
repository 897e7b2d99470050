//! The WebSocket: handshake, registration, keep-alive.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::event::{Event, EventError, MAX_EVENT_BYTES, Registration};
use crate::budget::Priority;
use crate::client::{Call, Client};
use crate::error::{Error, Kind};

/// HAProxy is expected to cut idle WebSockets after about a minute (reference 2.5), so we ping sooner.
pub const PING_EVERY: Duration = Duration::from_secs(25);

/// A feed on which nothing arrived for this long, no pong either, is dead although its socket is open.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(75);

/// No write waits longer for a peer that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open changefeed.
#[derive(Debug)]
pub struct Changefeed {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    ping: Interval,
    heard: Instant,
}

/// Why a changefeed ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The server closed it, as it does whenever its own upstream reconnects.
    #[error("the server closed the changefeed")]
    Closed,
    /// Nothing was heard for [`SILENCE_LIMIT`], not even a pong.
    #[error("the changefeed is silent, its connection is taken for dead")]
    Silent,
    /// The connection broke or the peer does not speak WebSocket.
    #[error("the changefeed's connection broke")]
    Broken(#[source] Box<tungstenite::Error>),
}

impl From<tungstenite::Error> for FeedError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Self::Closed,
            other => Self::Broken(Box::new(other)),
        }
    }
}

impl Changefeed {
    /// Opens the changefeed and registers. There is no acknowledgement: a registration that the server does
    /// not understand gives a silent feed (reference 2.26).
    ///
    /// # Errors
    /// As any call; [`Kind::NotSupported`] or [`Kind::NotFound`] from a CloudAPI before 9.14.
    pub async fn open(client: &Client, registration: &Registration) -> Result<Self, Error> {
        let call = || Call::get("changefeed", "instances").path(["changefeed"]).priority(Priority::Refresh);
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let broken = |message: &str| call().error(Kind::Protocol, message);

        let response =
            client.upgrade(call(), handshake(&key).ok_or_else(|| broken("bad handshake key"))?).await?;
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS
            || accepted.map(HeaderValue::as_bytes) != Some(accept.as_bytes())
        {
            return Err(broken("the server's WebSocket handshake is wrong"));
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|source| call().error(Kind::Interrupted, "the connection broke").caused_by(source))?;

        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_EVENT_BYTES))
            .max_frame_size(Some(MAX_EVENT_BYTES));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(limits)).await;
        let now = Instant::now();
        let mut ping = interval_at(now + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut feed = Self { socket, ping, heard: now };

        let frame = serde_json::to_string(registration)
            .map_err(|source| broken("the registration cannot be written").caused_by(source))?;
        feed.write(Message::text(frame))
            .await
            .map_err(|source| call().error(Kind::Interrupted, "the registration failed").caused_by(source))?;
        Ok(feed)
    }

    /// The next event. The outer error ends the feed; the inner one is a frame that named no instance, after
    /// which the feed goes on. Safe to cancel: dropping the future loses no event.
    ///
    /// # Errors
    /// [`FeedError`] when the feed has ended. Then open a new one and list, since nothing is replayed.
    pub async fn next(&mut self) -> Result<Result<Event, EventError>, FeedError> {
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    self.heard = Instant::now();
                    match message.ok_or(FeedError::Closed)?? {
                        Message::Text(text) => return Ok(Event::decode(&text)),
                        Message::Close(_) => return Err(FeedError::Closed),
                        // Pings are answered by the WebSocket layer; binary frames are not CloudAPI's.
                        Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
                    }
                }
                now = self.ping.tick() => {
                    if now.saturating_duration_since(self.heard) >= SILENCE_LIMIT {
                        return Err(FeedError::Silent);
                    }
                    self.write(Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    async fn write(&mut self, message: Message) -> Result<(), FeedError> {
        match timeout_at(Instant::now() + WRITE_TIMEOUT, self.socket.send(message)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(FeedError::Silent),
        }
    }
}

/// The headers of the WebSocket handshake (RFC 6455); CloudAPI wants no sub-protocol.
fn handshake(key: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_str(key).ok()?);
    Some(headers)
}
