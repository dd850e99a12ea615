//! Durations and sizes as people write them: a whole number and a unit.

use std::time::Duration;

/// The longest duration that is read: ten years of 365 days. It can be added to any clock.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// From the largest; of units of one size the first is printed.
const TIMES: [(&str, u128); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

/// Powers of two alone: what `4 MB` means depends on whom one asks.
const SIZES: [(&str, u128); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A duration from 1 ns to ten years. A number without a unit is none.
pub(super) fn parse_time(text: &str) -> Option<Duration> {
    let nanos = parse(text, &TIMES)?;
    let time = Duration::from_nanos(u64::try_from(nanos).ok()?);
    (!time.is_zero() && time <= LONGEST).then_some(time)
}

pub(super) fn show_time(time: Duration) -> String {
    show(time.as_nanos(), &TIMES, "s")
}

/// A size in bytes. A number without a unit is one of bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let bytes = parse_number(text).map(u128::from).or_else(|| parse(text, &SIZES))?;
    u64::try_from(bytes).ok()
}

pub(super) fn show_size(bytes: u64) -> String {
    show(u128::from(bytes), &SIZES, "B")
}

/// Digits alone: the standard parser would take a sign too.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parse(text: &str, units: &[(&str, u128)]) -> Option<u128> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, one) = units.iter().find(|(name, _)| *name == unit)?;
    u128::from(parse_number(digits)?).checked_mul(*one)
}

/// In the largest unit that leaves a whole number.
fn show(amount: u128, units: &[(&str, u128)], of_zero: &str) -> String {
    match units.iter().find(|(_, one)| amount != 0 && amount.is_multiple_of(*one)) {
        Some((name, one)) => format!("{} {name}", amount / one),
        None => format!("0 {of_zero}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, nanos) in [
            ("1ns", 1),
            ("2 us", 2000),
            ("250 ms", 250_000_000),
            ("10s", 10_000_000_000),
            ("10 min", 600_000_000_000),
            ("10m", 600_000_000_000),
            ("1 h", 3_600_000_000_000),
            ("2d", 172_800_000_000_000),
        ] {
            assert_eq!(parse_time(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for bad in [
            "",
            "10",
            "s",
            "10  s",
            " 10 s",
            "10 s ",
            "-1 s",
            "+1 s",
            "1.5 s",
            "10 S",
            "1 min 30 s",
            "0 s",
            "0",
            "3651 d",
            "999999999999999999999 s",
            "18446744073709551615 d",
            "١ s",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_in_every_unit_and_none() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("1 B", 1), ("8KiB", 8192), ("4 MiB", 4 << 20), ("2 GiB", 2 << 30)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "4 MB",
            "4 mib",
            "4M",
            "+4",
            "-4",
            "4.5 MiB",
            "18446744073709551616",
            "18446744073709551615 KiB",
        ] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(nanos in 1..=LONGEST.as_nanos() as u64, bytes: u64, shift in 0..63_u32) {
            for nanos in [nanos, nanos >> shift, nanos / 1_000_000_000 * 1_000_000_000] {
                let time = Duration::from_nanos(nanos.max(1));
                prop_assert_eq!(parse_time(&show_time(time)), Some(time));
            }
            for bytes in [bytes, bytes >> shift, bytes & (u64::MAX << shift)] {
                prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
            }
        }
    }
}
