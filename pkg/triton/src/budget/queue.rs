//! Who is next: a queue by priority in which nobody starves. Pure.

use std::collections::VecDeque;

use super::Priority;

/// One grant in this many goes to whoever has waited longest, whatever its priority: background refreshes
/// keep an eighth of the rate while a thousand deletions queue before them.
const FAIR_EVERY: u32 = 8;

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// Waiting tickets, first in first out within a priority.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: [VecDeque<Ticket>; Priority::COUNT],
    issued: u64,
    granted: u32,
}

impl Queue {
    pub(super) fn push(&mut self, priority: Priority) -> Ticket {
        let ticket = Ticket(self.issued);
        self.issued += 1;
        self.lane(priority).push_back(ticket);
        ticket
    }

    /// The ticket whose turn it is. Stays the same until it is popped or removed, or a more urgent one comes.
    pub(super) fn head(&self) -> Option<Ticket> {
        let mut fronts = self.lanes.iter().filter_map(|lane| lane.front().copied());
        if self.granted % FAIR_EVERY == FAIR_EVERY - 1 { fronts.min() } else { fronts.next() }
    }

    /// Takes the head out because it was granted its request. Says of which priority it was.
    pub(super) fn grant(&mut self, head: Ticket) -> Option<Priority> {
        let is_in = |lane: &VecDeque<Ticket>| lane.binary_search(&head).is_ok();
        let priority = Priority::ALL.into_iter().find(|priority| is_in(self.lane(*priority)))?;
        self.remove(head);
        self.granted = self.granted.wrapping_add(1);
        Some(priority)
    }

    /// Takes a ticket out because its owner gave up. False when it was not waiting.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.lanes.iter_mut().any(|lane| match lane.binary_search(&ticket) {
            Ok(at) => lane.remove(at).is_some(),
            Err(_) => false,
        })
    }

    /// How many wait, by priority, most urgent first.
    pub(super) fn waiting(&self) -> [usize; Priority::COUNT] {
        self.lanes.each_ref().map(VecDeque::len)
    }

    fn lane(&mut self, priority: Priority) -> &mut VecDeque<Ticket> {
        // The enum's discriminants are the indices of the array, whose length is their count.
        &mut self.lanes[priority as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut Queue) -> Vec<Ticket> {
        let mut order = Vec::new();
        while let Some(head) = queue.head() {
            queue.grant(head);
            order.push(head);
        }
        order
    }

    #[test]
    fn the_urgent_go_first_and_equals_in_order_of_arrival() {
        let mut queue = Queue::default();
        let refresh = queue.push(Priority::Refresh);
        let create = queue.push(Priority::Lifecycle);
        let delete = queue.push(Priority::Safety);
        let second = queue.push(Priority::Safety);
        assert_eq!(drain(&mut queue), [delete, second, create, refresh]);
    }

    #[test]
    fn a_refresh_is_not_starved_by_a_stream_of_deletions() {
        let mut queue = Queue::default();
        let refresh = queue.push(Priority::Refresh);
        let mut before = 0;
        loop {
            queue.push(Priority::Safety);
            let Some(head) = queue.head() else { panic!("never empty") };
            queue.grant(head);
            if head == refresh {
                break;
            }
            before += 1;
            assert!(before < FAIR_EVERY, "passed over {before} times");
        }
    }

    #[test]
    fn one_who_gives_up_is_never_the_head() {
        let mut queue = Queue::default();
        let first = queue.push(Priority::Status);
        let second = queue.push(Priority::Status);
        assert!(queue.remove(first));
        assert!(!queue.remove(first));
        assert_eq!(queue.head(), Some(second));
        assert_eq!(queue.waiting(), [0, 0, 0, 1, 0]);
    }
}
