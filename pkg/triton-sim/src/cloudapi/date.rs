//! Reading the `Date` header as leniently as the server does, which reads it with JavaScript (reference 1.1).

use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};

/// The time that a `Date` header means; `None` when it means none.
///
/// Read are the formats that clients send: RFC 9110's with `GMT`, the one with `UTC` that Go prints, offsets and
/// zone names of RFC 2822, C's `asctime`, and RFC 3339. The day of the week need not be right.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let parser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let zone = ["UTC", "utc", "Z", "z"].iter().find_map(|zone| text.strip_suffix(zone));
    if let Some(rest) = zone.filter(|rest| rest.ends_with(' '))
        && let Ok(time) = parser.parse_timestamp(format!("{rest}GMT"))
    {
        return Some(time);
    }
    if let Ok(time) = parser.parse_timestamp(text) {
        return Some(time);
    }
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let parsed = strtime::parse("%a %b %e %H:%M:%S %Y", text).ok()?;
    parsed.to_datetime().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_format_that_clients_send_is_read() {
        for text in [
            "Mon, 02 Feb 2026 10:00:00 GMT",
            "Mon, 02 Feb 2026 10:00:00 UTC",
            "Mon, 2 Feb 2026 10:00:00 GMT",
            "02 Feb 2026 10:00:00 GMT",
            "Sun, 02 Feb 2026 10:00:00 GMT",
            "Mon, 02 Feb 2026 11:00:00 +0100",
            "Mon, 02 Feb 2026 05:00:00 EST",
            "Mon Feb  2 10:00:00 2026",
            "2026-02-02T10:00:00Z",
            "2026-02-02T10:00:00.000Z",
            "2026-02-02T11:00:00+01:00",
            " Mon, 02 Feb 2026 10:00:00 GMT ",
        ] {
            assert_eq!(
                parse(text).map(|time| time.to_string()).as_deref(),
                Some("2026-02-02T10:00:00Z"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "UTC", "yesterday", "Mon, 32 Feb 2026 10:00:00 GMT", "12345678901234567890", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9 ,:+.-]{0,32}|.{0,32}") {
            let _ = parse(&text);
        }
    }
}
