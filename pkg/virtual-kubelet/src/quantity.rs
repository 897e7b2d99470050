//! Kubernetes' quantities: `250m`, `1.5Gi`, `12e6`.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

/// Nanounits in one unit: Kubernetes keeps quantities to this precision and rounds away from zero beyond it.
const NANOS: u128 = 1_000_000_000;

/// The largest quantity, in units: Kubernetes caps quantities at what a signed 64-bit integer holds.
const MAX_UNITS: u128 = i64::MAX as u128;

/// The significant digits that are kept, so that 128 bits hold them: with a power of ten as suffix, with a power of
/// two. What is cut off counts as rounded up.
const DECIMAL_DIGITS: usize = 37;
const BINARY_DIGITS: usize = 19;

/// The longest text that is read, in bytes. The bound is ours: the API server takes texts of any length, but nobody
/// means them.
const MAX_TEXT_BYTES: usize = 256;

/// An amount of a resource: CPUs, bytes. Exact to a thousand-millionth; smaller parts are rounded away from zero, and
/// amounts beyond ±(2⁶³−1) are those.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    nanos: i128,
}

/// A text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a quantity: write a number with a suffix of m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or none"
)]
pub struct InvalidQuantity {
    text: String,
}

impl Quantity {
    /// The largest, which stands for all that is more.
    #[expect(clippy::cast_possible_wrap, reason = "it is less than 2⁹⁴")]
    pub const MAX: Self = Self { nanos: (MAX_UNITS * NANOS) as i128 };

    /// So many units.
    pub fn from_units(units: u64) -> Self {
        Self { nanos: i128::from(units) * 1_000_000_000 }
    }

    /// So many thousandths of a unit.
    pub fn from_millis(millis: u64) -> Self {
        Self { nanos: i128::from(millis) * 1_000_000 }
    }

    /// Thousandths of a unit, rounded up; nothing for a negative amount.
    pub fn millis(self) -> u64 {
        self.in_parts(NANOS / 1000)
    }

    /// Units, rounded up; nothing for a negative amount.
    pub fn units(self) -> u64 {
        self.in_parts(NANOS)
    }

    /// How often `divisor` goes into it, rounded up, as the downward API shows resources; `None` where the divisor is
    /// not positive.
    pub fn divided_by(self, divisor: Self) -> Option<u64> {
        let divisor = u128::try_from(divisor.nanos).ok().filter(|divisor| *divisor > 0)?;
        Some(self.in_parts(divisor))
    }

    /// Whether it is more than nothing.
    pub fn is_positive(self) -> bool {
        self.nanos > 0
    }

    /// Whether it is less than nothing.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    fn in_parts(self, part: u128) -> u64 {
        let nanos = u128::try_from(self.nanos).unwrap_or_default();
        u64::try_from(nanos.div_ceil(part)).unwrap_or(u64::MAX)
    }
}

impl TryFrom<&Text> for Quantity {
    type Error = InvalidQuantity;

    fn try_from(text: &Text) -> Result<Self, InvalidQuantity> {
        text.0.parse()
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        read(text).ok_or_else(|| InvalidQuantity { text: text.chars().take(64).collect() })
    }
}

/// Units and nanounits: `1.5`.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        let (units, rest) = (nanos / NANOS, nanos % NANOS);
        if rest == 0 {
            return write!(f, "{sign}{units}");
        }
        let rest = format!("{rest:09}");
        write!(f, "{sign}{units}.{}", rest.trim_end_matches('0'))
    }
}

fn read(text: &str) -> Option<Quantity> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (factor, exponent) = scale(suffix)?;
    let places = i64::try_from(fraction.len()).ok()?;
    let nanos =
        nanos(&format!("{whole}{fraction}"), factor, exponent.saturating_sub(places).saturating_add(9));
    let nanos = i128::try_from(nanos.min(MAX_UNITS * NANOS)).ok()?;
    Some(Quantity { nanos: if negative { -nanos } else { nanos } })
}

/// What a suffix multiplies with: a factor, and a power of ten.
fn scale(suffix: &str) -> Option<(u128, i64)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => (1, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// `digits` · `factor` · 10^`exponent`, rounded up, and capped.
fn nanos(digits: &str, factor: u128, mut exponent: i64) -> u128 {
    let significant = digits.trim_start_matches('0');
    let trimmed = significant.trim_end_matches('0');
    exponent = exponent.saturating_add(i64::try_from(significant.len() - trimmed.len()).unwrap_or(i64::MAX));
    let digits = if factor == 1 { DECIMAL_DIGITS } else { BINARY_DIGITS };
    let kept = trimmed.get(..digits).unwrap_or(trimmed);
    let cut = trimmed.len() - kept.len();
    exponent = exponent.saturating_add(i64::try_from(cut).unwrap_or(i64::MAX));
    let Ok(mantissa) = kept.parse::<u128>() else {
        // Only zeros.
        return 0;
    };
    // Less than 2^128. What was cut off is more than nothing, as zeros were trimmed.
    let product = (mantissa + u128::from(cut > 0)) * factor;
    let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|power| 10u128.checked_pow(power));
    match (exponent >= 0, power) {
        (true, Some(power)) => product.saturating_mul(power),
        (true, None) => u128::MAX,
        (false, Some(power)) => product.div_ceil(power),
        (false, None) => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[rstest]
    #[case("0", 0, 0)]
    #[case("1", 1000, 1)]
    #[case("+1", 1000, 1)]
    #[case("-1", 0, 0)]
    #[case("250m", 250, 1)]
    #[case("1.5", 1500, 2)]
    #[case(".5", 500, 1)]
    #[case("5.", 5000, 5)]
    #[case("1u", 1, 1)]
    #[case("1n", 1, 1)]
    #[case("0.0000000001", 1, 1)]
    #[case("2k", 2_000_000, 2000)]
    #[case("1Ki", 1_024_000, 1024)]
    #[case("1.5Gi", 1_610_612_736_000, 1_610_612_736)]
    #[case("12e6", 12_000_000_000, 12_000_000)]
    #[case("12E6", 12_000_000_000, 12_000_000)]
    #[case("12e-1", 1200, 2)]
    #[case("1e+2", 100_000, 100)]
    #[case("1M", 1_000_000_000, 1_000_000)]
    #[case("1T", 1_000_000_000_000_000, 1_000_000_000_000)]
    #[case("1P", 1_000_000_000_000_000_000, 1_000_000_000_000_000)]
    #[case("8E", 8_000_000_000_000_000_000_000u128, 8_000_000_000_000_000_000)]
    #[case("7Ei", 8_070_450_532_247_928_832_000u128, 8_070_450_532_247_928_832)]
    #[case("9223372036854775807", 9_223_372_036_854_775_807_000u128, 9_223_372_036_854_775_807)]
    #[case("100E", 9_223_372_036_854_775_807_000u128, 9_223_372_036_854_775_807)]
    #[case("1e999999999999", 9_223_372_036_854_775_807_000u128, 9_223_372_036_854_775_807)]
    #[case("1e-999999999999", 1, 1)]
    #[case("0e999999999999", 0, 0)]
    #[case("10000000000000000000000000000000000000000e-40", 1000, 1)]
    #[case("1.00000000000000000000000000001", 1001, 2)]
    fn texts_are_read_as_kubernetes_reads_them(#[case] text: &str, #[case] millis: u128, #[case] units: u64) {
        let quantity = quantity(text);
        assert_eq!(u128::from(quantity.millis()), millis.min(u128::from(u64::MAX)), "{quantity}");
        assert_eq!(quantity.units(), units, "{quantity}");
    }

    #[rstest]
    fn what_is_no_quantity_is_refused(
        #[values(
            "", " 1", "1 ", "m", ".", "-", "+-1", "1.2.3", "1mi", "1KI", "1K", "1i", "1e", "1e1.5", "1ee3",
            "0x10", "\u{661}"
        )]
        text: &str,
    ) {
        assert!(text.parse::<Quantity>().is_err());
    }

    #[rstest]
    #[case("1", "1m", Some(1000))]
    #[case("1100m", "1", Some(2))]
    #[case("1Gi", "1Mi", Some(1024))]
    #[case("1", "0", None)]
    #[case("1", "-1", None)]
    fn a_divisor_rounds_up(#[case] amount: &str, #[case] divisor: &str, #[case] times: Option<u64>) {
        assert_eq!(quantity(amount).divided_by(quantity(divisor)), times);
    }

    #[test]
    fn the_sign_is_told_and_printed() {
        assert!(quantity("-1n").is_negative() && !quantity("-1n").is_positive());
        assert!(quantity("1n").is_positive() && !quantity("0").is_positive());
        assert_eq!(quantity("-1.5").to_string(), "-1.5");
        assert_eq!(quantity("1500m").to_string(), "1.5");
    }

    proptest! {
        #[test]
        fn every_suffix_scales_an_integer(number in 0u32..1_000_000, suffix in 0usize..13) {
            let suffixes: [(&str, u128); 13] = [
                ("", 1), ("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000),
                ("P", 1_000_000_000_000_000), ("E", 1_000_000_000_000_000_000), ("Ki", 1 << 10), ("Mi", 1 << 20),
                ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50), ("Ei", 1 << 60),
            ];
            let (suffix, factor) = suffixes[suffix];
            let expected = (u128::from(number) * factor).min(MAX_UNITS);
            prop_assert_eq!(u128::from(quantity(&format!("{number}{suffix}")).units()), expected);
            prop_assert_eq!(quantity(&format!("{number}m")).millis(), u64::from(number));
        }

        #[test]
        fn a_fraction_and_an_exponent_say_the_same(whole in 0u64..1_000_000, milli in 0u32..1000, exponent in -6i32..6) {
            let plain = quantity(&format!("{whole}.{milli:03}e{exponent}"));
            let shifted = quantity(&format!("{whole}{milli:03}e{}", exponent - 3));
            prop_assert_eq!(plain, shifted);
        }

        #[test]
        fn what_is_printed_reads_as_the_same(text in "[+-]?[0-9]{1,30}(\\.[0-9]{0,20})?(n|u|m|k|M|Gi|Ei|e-?[0-9]{1,3})?") {
            let quantity = quantity(&text);
            prop_assert_eq!(quantity.to_string().parse::<Quantity>().unwrap(), quantity);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Quantity>();
        }
    }
}
