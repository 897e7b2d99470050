//! Whether CloudAPI answers, by what the reflector has heard; no call is made to find out.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::watching::{Cache, CacheState};
use tokio::time::Instant;
use triton::reflector::{Feed, Health, Store};

/// When CloudAPI was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    heard: Instant,
    synced: bool,
}

/// Whether CloudAPI answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Nothing is known yet: the first list is not there, and might well come.
    Starting,
    /// It answers.
    Answers,
    /// It has been silent for longer than is tolerated: for so long.
    Silent(Duration),
}

impl Contact {
    /// Before anything was heard.
    pub fn new(started: Instant) -> Self {
        Self { heard: started, synced: false }
    }

    /// Takes note of how the reflector does. An open changefeed is an answer, unless lists fail beside it; a list
    /// that came is one.
    pub fn observe(self, health: &Health, now: Instant) -> Self {
        let heard = match health.feed {
            Feed::Up(_) if health.list_failures == 0 => now,
            _ => health.last_list.map_or(self.heard, |list| self.heard.max(list)),
        };
        Self { heard, synced: health.is_synced() }
    }

    /// What that comes to when silence is tolerated for `grace`.
    pub fn voice(&self, grace: Duration, now: Instant) -> Voice {
        let silence = now.saturating_duration_since(self.heard);
        match self.synced {
            _ if silence > grace => Voice::Silent(silence),
            true => Voice::Answers,
            false => Voice::Starting,
        }
    }
}

/// The account's instances as one of the process's caches, for `/readyz`.
#[derive(Debug)]
pub struct Instances {
    store: Store,
    grace: Duration,
}

impl Instances {
    /// A cache that is stale when no list has come for `grace` beyond the usual interval of `relist`.
    pub fn new(store: Store, relist: Duration, grace: Duration) -> Self {
        Self { store, grace: relist + grace }
    }
}

impl Cache for Instances {
    fn name(&self) -> &str {
        "instances"
    }

    fn state(&self) -> CacheState {
        state(&self.store.health(), self.grace, Instant::now())
    }

    fn synced(&self) -> BoxFuture<'_, ()> {
        self.store.synced().boxed()
    }
}

fn state(health: &Health, grace: Duration, now: Instant) -> CacheState {
    let failures = format!("{} lists in a row have failed", health.list_failures);
    match health.staleness(now) {
        None if health.list_failures == 0 => CacheState::Waiting(None),
        None => CacheState::Waiting(Some(failures)),
        Some(age) if age > grace => CacheState::Stale(failures),
        Some(_) => CacheState::Synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);

    /// At this second: the feed is up, the second of the last list, failed lists since.
    type Seen = (u64, bool, Option<u64>, u32);

    /// What is said of CloudAPI at second `at` after these sights.
    fn voice(sights: &[Seen], at: u64) -> Voice {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut contact = Contact::new(start);
        for (now, up, list, list_failures) in sights {
            let feed = if *up { Feed::Up(start) } else { Feed::Down(start) };
            let last_list = list.map(second);
            let health = Health {
                feed,
                last_list,
                last_clean_list: last_list,
                last_telling_list: last_list,
                list_failures: *list_failures,
            };
            contact = contact.observe(&health, second(*now));
        }
        contact.voice(GRACE, second(at))
    }

    fn silent(seconds: u64) -> Voice {
        Voice::Silent(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_list_is_waited_for_and_not_for_ever() {
        assert_eq!(voice(&[], 5), Voice::Starting);
        assert_eq!(voice(&[(5, false, None, 1)], 120), Voice::Starting);
        assert_eq!(voice(&[(5, false, None, 1)], 121), silent(121));
        assert_eq!(voice(&[(5, true, None, 0)], 5), Voice::Starting, "a feed alone shows no instances");
        assert_eq!(voice(&[(5, true, Some(4), 0)], 5), Voice::Answers);
    }

    #[test]
    fn an_open_feed_answers_between_lists() {
        assert_eq!(voice(&[(290, true, Some(4), 0)], 291), Voice::Answers);
        assert_eq!(voice(&[(290, false, Some(4), 0)], 291), silent(287));
    }

    #[test]
    fn a_feed_that_broke_off_was_heard_until_then() {
        let sights = [(290, true, Some(4), 0), (291, false, Some(4), 1)];
        assert_eq!(voice(&sights, 410), Voice::Answers);
        assert_eq!(voice(&sights, 411), silent(121));
    }

    #[test]
    fn lists_that_fail_beside_an_open_feed_are_silence() {
        let sights = [(300, true, Some(4), 0), (301, true, Some(4), 1), (430, true, Some(4), 7)];
        assert_eq!(voice(&sights, 430), silent(130));
        let again = [&sights[..], &[(431, true, Some(431), 0)]].concat();
        assert_eq!(voice(&again, 432), Voice::Answers);
    }

    #[test]
    fn the_cache_says_what_the_reflector_lacks() {
        let start = Instant::now();
        let health = |list: Option<u64>, list_failures| {
            let last_list = list.map(|n| start + Duration::from_secs(n));
            Health {
                feed: Feed::Down(start),
                last_list,
                last_clean_list: None,
                last_telling_list: None,
                list_failures,
            }
        };
        let check = |list, failures, at, expected: CacheState| {
            assert_eq!(state(&health(list, failures), GRACE, start + Duration::from_secs(at)), expected);
        };
        check(None, 0, 1, CacheState::Waiting(None));
        check(None, 2, 1, CacheState::Waiting(Some("2 lists in a row have failed".into())));
        check(Some(1), 0, 100, CacheState::Synced);
        check(Some(1), 3, 122, CacheState::Stale("3 lists in a row have failed".into()));
    }
}
