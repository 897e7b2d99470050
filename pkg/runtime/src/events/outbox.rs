//! Writes on their way: several at once, but of one object one after another. Pure.

use std::collections::{HashMap, VecDeque};

use super::series::Write;

/// The writes that wait, by object.
///
/// A thousand pods that change together have thousands of events, which are written several at a time. What is said of
/// one object keeps its order: a count comes after the event that it is of.
#[derive(Debug)]
pub(super) struct Outbox {
    /// What waits behind the write of its object that is ready or under way.
    behind: HashMap<u64, VecDeque<Write>>,
    /// At most one of each object, oldest first.
    ready: VecDeque<Write>,
    /// How many wait in all.
    len: usize,
    most: usize,
}

impl Outbox {
    /// An empty one, in which so many may wait.
    pub(super) fn new(most: usize) -> Self {
        Self { behind: HashMap::new(), ready: VecDeque::new(), len: 0, most }
    }

    /// Adds a write; gives it back when too many wait.
    pub(super) fn put(&mut self, write: Write) -> Result<(), Write> {
        if self.len >= self.most {
            return Err(write);
        }
        self.len += 1;
        match self.behind.get_mut(&write.object) {
            Some(behind) => behind.push_back(write),
            None => {
                self.behind.insert(write.object, VecDeque::new());
                self.ready.push_back(write);
            }
        }
        Ok(())
    }

    /// Takes the next write, which is under way until it is [done](Outbox::done).
    pub(super) fn take(&mut self) -> Option<Write> {
        let write = self.ready.pop_front()?;
        self.len -= 1;
        Some(write)
    }

    /// The write of this object that was under way is over.
    pub(super) fn done(&mut self, object: u64) {
        match self.behind.get_mut(&object).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => {
                self.behind.remove(&object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::series::What;
    use super::*;

    fn write(object: u64, count: i32) -> Write {
        let what = What::Repeat { count, last: Timestamp::UNIX_EPOCH };
        Write { object, namespace: "shop".into(), name: "web.1".into(), what }
    }

    fn taken(outbox: &mut Outbox) -> Option<(u64, i32)> {
        let write = outbox.take()?;
        let What::Repeat { count, .. } = write.what else { return None };
        Some((write.object, count))
    }

    #[test]
    fn objects_do_not_wait_for_each_other_and_keep_their_order() {
        let mut outbox = Outbox::new(10);
        for (object, count) in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)] {
            outbox.put(write(object, count)).unwrap();
        }
        assert_eq!([taken(&mut outbox), taken(&mut outbox)], [Some((1, 1)), Some((2, 1))]);
        assert_eq!(taken(&mut outbox), None, "both objects have one under way");
        outbox.done(2);
        assert_eq!(taken(&mut outbox), Some((2, 2)));
        outbox.done(1);
        assert_eq!(taken(&mut outbox), Some((1, 2)));
        outbox.done(2);
        outbox.done(1);
        assert_eq!([taken(&mut outbox), taken(&mut outbox)], [Some((1, 3)), None]);
        outbox.put(write(2, 3)).unwrap();
        assert_eq!(taken(&mut outbox), Some((2, 3)), "nothing of it was under way any more");
    }

    #[test]
    fn no_more_wait_than_may_and_nothing_is_left_behind() {
        let mut outbox = Outbox::new(100);
        let put = |outbox: &mut Outbox| (0..1000).filter(|n| outbox.put(write(n % 30, 1)).is_ok()).count();
        assert_eq!(put(&mut outbox), 100);
        while let Some((object, _)) = taken(&mut outbox) {
            outbox.done(object);
        }
        assert!(outbox.behind.is_empty() && outbox.len == 0);
        assert_eq!(put(&mut outbox), 100);
    }
}
