//! Lists that come in pages (reference 2.6).

use std::collections::HashSet;
use std::hash::Hash;

use serde::de::DeserializeOwned;

use super::{Call, Client};
use crate::error::{Error, Kind};
use crate::types::{DecodedList, MAX_PAGE, Undecodable};

/// No list has this many pages; a server that goes on for ever is not listing.
const MOST_PAGES: usize = 1000;

impl Client {
    /// Walks all pages of a list. `call` makes the call for the page from an offset on, `key` tells items
    /// apart: between two pages others may come and go, so that an item is sent twice or not at all.
    pub(super) async fn pages<T: DeserializeOwned, K: Eq + Hash>(
        &self,
        call: impl Fn(u64) -> Call,
        key: impl Fn(&T) -> K,
    ) -> Result<DecodedList<T>, Error> {
        let mut all = DecodedList { items: Vec::new(), undecodable: Vec::new() };
        let mut known = HashSet::new();
        let mut offset = 0_usize;
        for _ in 0..MOST_PAGES {
            let reply = self.send(call(offset as u64)).await?;
            let list: DecodedList<T> = reply.list()?;
            let received = list.received();
            let news = list.items.into_iter().filter(|item| known.insert(key(item)));
            let before = all.items.len();
            all.items.extend(news);
            all.undecodable.extend(
                list.undecodable
                    .into_iter()
                    .map(|bad| Undecodable { index: offset.saturating_add(bad.index), reason: bad.reason }),
            );
            // The server says how many it would have sent, which an operator may have made fewer than we asked for.
            let limit = reply.header("x-query-limit").and_then(|limit| limit.parse().ok());
            let limit = limit.map_or(MAX_PAGE as usize, |limit: usize| limit.min(MAX_PAGE as usize));
            if received == 0 || received < limit {
                return Ok(all);
            }
            if all.items.len() == before {
                break;
            }
            offset = offset.saturating_add(received);
        }
        Err(call(0).error(Kind::Protocol, "the list goes on without end"))
    }
}
