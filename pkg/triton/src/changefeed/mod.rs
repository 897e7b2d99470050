//! The changefeed: a WebSocket on which CloudAPI tells that instances changed (reference 2.26).
//!
//! It promises nothing: no list at the start, no replay, no order, no heartbeat, and an upstream reconnect
//! closes every socket. What it says is a hint, which the [reflector](crate::reflector) turns into knowledge.
//! Use this module directly only to watch what happens.

mod event;
mod feed;

pub use self::event::{Event, EventError, MAX_EVENT_BYTES, Registration};
pub use self::feed::{Changefeed, FeedError, PING_EVERY, SILENCE_LIMIT};
