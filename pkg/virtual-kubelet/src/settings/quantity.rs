//! Kubernetes' quantities as numbers: `20`, `250m`, `40Gi`, `1.5`, `1e3`.

/// Thousandths: the unit in which quantities are compared. Enough for the largest quantity that Kubernetes has.
pub type Millis = i128;

/// The value of a quantity in thousandths, rounded up as Kubernetes does; `None` when it is not one or too large.
pub fn millis(text: &str) -> Option<Millis> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (factor, exponent) = unit(suffix)?;
    // digits * factor * 10^(exponent - |fraction|) * 1000
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(3)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    let scaled = digits.checked_mul(factor)?;
    let value = match power {
        Some(power) if exponent >= 0 => scaled.checked_mul(power)?,
        // What is divided by more than there is counts as the smallest there is, like all that is rounded up.
        Some(power) => scaled.div_euclid(power) + i128::from(scaled.rem_euclid(power) > 0),
        None if exponent < 0 => i128::from(scaled > 0),
        None => return None,
    };
    Some(if text.starts_with('-') { -value } else { value })
}

/// A suffix as a factor and a power of ten.
fn unit(suffix: &str) -> Option<(i128, i32)> {
    let binary = |shift: u32| Some((1_i128 << shift, 0));
    match suffix {
        "" => Some((1, 0)),
        "n" => Some((1, -9)),
        "u" => Some((1, -6)),
        "m" => Some((1, -3)),
        "k" => Some((1, 3)),
        "M" => Some((1, 6)),
        "G" => Some((1, 9)),
        "T" => Some((1, 12)),
        "P" => Some((1, 15)),
        "E" => Some((1, 18)),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            Some((1, exponent.parse().ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::millis;

    #[rstest]
    #[case("20", Some(20_000))]
    #[case("0", Some(0))]
    #[case("250m", Some(250))]
    #[case("1.5", Some(1_500))]
    #[case(".5", Some(500))]
    #[case("5.", Some(5_000))]
    #[case("-2", Some(-2_000))]
    #[case("+2", Some(2_000))]
    #[case("40Gi", Some(40 * (1 << 30) * 1000))]
    #[case("0.5Ki", Some(512_000))]
    #[case("1k", Some(1_000_000))]
    #[case("1e3", Some(1_000_000))]
    #[case("1E3", Some(1_000_000))]
    #[case("1E", Some(1_000_000_000_000_000_000_000))]
    #[case("15e-1", Some(1_500))]
    #[case("1n", Some(1))]
    #[case("1e-99999", Some(1))]
    #[case("0e-99999", Some(0))]
    #[case("100u", Some(1))]
    #[case("", None)]
    #[case(".", None)]
    #[case("Gi", None)]
    #[case("1.2.3", None)]
    #[case("40 Gi", None)]
    #[case("40GB", None)]
    #[case("1e99999", None)]
    #[case("99999999999999999999999999999999999999999", None)]
    #[case("--1", None)]
    #[case("1ü", None)]
    fn quantities_read_as_in_kubernetes(#[case] text: &str, #[case] expected: Option<i128>) {
        assert_eq!(millis(text), expected, "{text}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[+-]?[0-9.]{0,45}(n|m|k|Ki|Ei|[eE][+-]?[0-9]{0,12}|\\PC{0,3})") {
            let _ = millis(&text);
        }
    }
}
