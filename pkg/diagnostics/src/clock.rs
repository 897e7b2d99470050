//! Whether this machine's clock is right, by CloudAPI's. Pure.

use std::time::{Duration, SystemTime};

use crate::Finding;

/// A clock that is kept by NTP is right to a fraction of a second; one that is off by this much is not, and goes on to
/// drift. CloudAPI refuses signatures from 300 s on (Triton reference 1.1).
const KEPT: Duration = Duration::from_secs(10);

/// CloudAPI says the time in whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// What CloudAPI's clock said, to a question of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When this machine asked, by its own clock.
    pub asked: SystemTime,
    /// What CloudAPI said in between, in whole seconds.
    pub said: SystemTime,
    /// When the answer was here, by this machine's clock.
    pub answered: SystemTime,
}

/// What the difference of the clocks comes to.
pub(crate) fn clock(reading: &Reading) -> Finding {
    const SUBJECT: &str = "clock";
    // It was some time between asking and the answer: only what lies outside is a difference.
    let ahead = reading.asked.duration_since(reading.said + RESOLUTION).unwrap_or_default();
    let behind = reading.said.duration_since(reading.answered).unwrap_or_default();
    let (difference, way) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let seconds = difference.as_secs();
    if difference < KEPT {
        return Finding::ok(SUBJECT, "as CloudAPI's");
    }
    Finding::warning(
        SUBJECT,
        format!("{seconds} s {way} CloudAPI's, which refuses requests from 300 s on; have NTP set it"),
    )
}

/// That CloudAPI did not say the time.
pub(crate) fn silent() -> Finding {
    Finding::warning("clock", "CloudAPI does not say what time it has")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::Level;

    /// `said` seconds from when it was asked; the answer takes 3 s.
    #[rstest]
    #[case(0, Level::Ok, "as CloudAPI's")]
    #[case(2, Level::Ok, "as CloudAPI's")]
    #[case(12, Level::Ok, "as CloudAPI's")]
    #[case(13, Level::Warning, "10 s behind CloudAPI's")]
    #[case(-10, Level::Ok, "as CloudAPI's")]
    #[case(-11, Level::Warning, "10 s ahead of CloudAPI's")]
    #[case(-301, Level::Warning, "300 s ahead of CloudAPI's")]
    fn only_what_the_way_does_not_explain_is_a_difference(
        #[case] said: i64,
        #[case] level: Level,
        #[case] text: &str,
    ) {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let by = Duration::from_secs(said.unsigned_abs());
        let said = if said < 0 { asked - by } else { asked + by };
        let found = clock(&Reading { asked, said, answered: asked + Duration::from_secs(3) });
        assert_eq!(found.level, level, "{found}");
        assert!(found.text.starts_with(text), "{found}");
    }
}
