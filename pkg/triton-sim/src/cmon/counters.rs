//! The counters of an instance: they grow with its load and start at nothing when it boots. Pure.
//!
//! As cmon-agent keeps what it measured for 10 s (reference 4.4), there is a measurement at each multiple of 10 s
//! since the boot, and what is read in between is what was measured last. So two readers see the same, and the
//! values follow from the boot, the loads with their times, and the time alone.

use jiff::Timestamp;

use super::load::Load;

/// The time between measurements, in seconds (reference 4.4).
const INTERVAL: u64 = 10;
/// What a percent of a CPU does in a second, in nanoseconds.
const PERCENT_SECOND: u64 = 10_000_000;
/// Of how many bytes a packet is taken to be.
const PACKET: u64 = 1000;

/// What was measured last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// The load at that time.
    pub(super) load: Load,
    /// How long the instance had been running then, in seconds.
    pub(super) up: u64,
    /// CPU time since the boot, in nanoseconds.
    pub(super) cpu: u64,
    /// Bytes since the boot, in and out each.
    pub(super) bytes: u64,
}

impl Reading {
    /// Packets since the boot, in and out each.
    pub(super) fn packets(&self) -> u64 {
        self.bytes / PACKET
    }
}

/// The counters of one instance from one boot to the next.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    booted: Timestamp,
    /// The last measurement before the load changed.
    settled: u64,
    cpu: u64,
    bytes: u64,
    /// The load that was measured then.
    before: Load,
    /// The load since then.
    load: Load,
}

impl Meter {
    /// An instance that has had this load since it booted.
    pub(super) fn new(booted: Timestamp, load: Load) -> Self {
        Self { booted, settled: 0, cpu: 0, bytes: 0, before: load, load }
    }

    pub(super) fn booted(&self) -> Timestamp {
        self.booted
    }

    /// Changes the load. It counts from the last measurement on, and shows at the next one.
    pub(super) fn set_load(&mut self, now: Timestamp, load: Load) {
        if load == self.load {
            return;
        }
        let reading = self.read(now);
        (self.settled, self.before) = (self.settled.max(self.measurement(now)), reading.load);
        (self.cpu, self.bytes, self.load) = (reading.cpu, reading.bytes, load);
    }

    /// What was measured last. A clock that goes back finds the values that were seen last.
    pub(super) fn read(&self, now: Timestamp) -> Reading {
        let measurement = self.measurement(now).max(self.settled);
        let load = if measurement > self.settled { self.load } else { self.before };
        let seconds = measurement.saturating_sub(self.settled).saturating_mul(INTERVAL);
        let grown = |value: u64, per_second: u64| value.saturating_add(per_second.saturating_mul(seconds));
        Reading {
            load,
            up: measurement.saturating_mul(INTERVAL),
            cpu: grown(self.cpu, u64::from(self.load.cpu_percent) * PERCENT_SECOND),
            bytes: grown(self.bytes, self.load.network_bytes),
        }
    }

    /// How many measurements there have been.
    fn measurement(&self, now: Timestamp) -> u64 {
        u64::try_from(now.duration_since(self.booted).as_secs()).unwrap_or_default() / INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const IDLE: Load = Load { cpu_percent: 0, memory_percent: 10, network_bytes: 0 };
    const BUSY: Load = Load { cpu_percent: 150, memory_percent: 50, network_bytes: 2000 };

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(1_770_000_000_000 + milliseconds)
    }

    #[test]
    fn values_grow_with_the_load_every_ten_seconds() {
        let meter = Meter::new(at(0), BUSY);
        let check = |milliseconds, up, cpu, bytes| {
            assert_eq!(
                meter.read(at(milliseconds)),
                Reading { load: BUSY, up, cpu, bytes },
                "{milliseconds}"
            );
        };
        check(-5_000, 0, 0, 0);
        check(0, 0, 0, 0);
        check(9_999, 0, 0, 0);
        check(10_000, 10, 15_000_000_000, 20_000);
        check(19_000, 10, 15_000_000_000, 20_000);
        check(100_000, 100, 150_000_000_000, 200_000);
        assert_eq!(meter.read(at(100_000)).packets(), 200);
    }

    #[test]
    fn another_load_counts_from_the_last_measurement_and_shows_at_the_next() {
        let mut meter = Meter::new(at(0), IDLE);
        meter.set_load(at(25_000), BUSY);
        assert_eq!(meter.read(at(29_000)), Reading { load: IDLE, up: 20, cpu: 0, bytes: 0 });
        assert_eq!(
            meter.read(at(30_000)),
            Reading { load: BUSY, up: 30, cpu: 15_000_000_000, bytes: 20_000 }
        );
        meter.set_load(at(30_000), IDLE);
        meter.set_load(at(31_000), BUSY);
        meter.set_load(at(32_000), IDLE);
        assert_eq!(meter.read(at(39_000)).load, BUSY);
        let later = Reading { load: IDLE, up: 40, cpu: 15_000_000_000, bytes: 20_000 };
        assert_eq!(meter.read(at(40_000)), later);
        // A clock that goes back does not take anything back.
        meter.set_load(at(45_000), BUSY);
        assert_eq!(meter.read(at(0)), later);
    }

    fn a_load() -> impl Strategy<Value = Load> {
        (0..500_u32, 0..=100_u8, 0..1_000_000_u64).prop_map(|(cpu_percent, memory_percent, network_bytes)| {
            Load { cpu_percent, memory_percent, network_bytes }
        })
    }

    proptest! {
        #[test]
        fn counters_never_go_back(steps in prop::collection::vec((0..40_000_i64, a_load()), 1..30)) {
            let mut meter = Meter::new(at(0), IDLE);
            let mut now = 0;
            let mut last = meter.read(at(now));
            for (milliseconds, load) in steps {
                now += milliseconds;
                let reading = meter.read(at(now));
                prop_assert!(reading.cpu >= last.cpu && reading.bytes >= last.bytes && reading.up >= last.up);
                meter.set_load(at(now), load);
                // Nothing that was measured changes.
                prop_assert_eq!(meter.read(at(now)), reading);
                last = reading;
            }
        }
    }
}
