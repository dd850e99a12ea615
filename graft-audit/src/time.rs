//! Timestamps as people write them.

use std::fmt;
use std::str::FromStr;

use graft_core::Timestamp;

const NANOS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// A moment in the spelling of RFC 3339: in UTC, with nine digits of a second, or as many as `{:.3}` asks for.
///
/// Reads any offset, any number of digits up to nine, and a date alone, which is its first moment in UTC. What
/// a [`Timestamp`] cannot hold, which is anything before 1970 or from 2554-07-21T23:34:33.709551616Z on, is
/// refused, and so is the 61st second of a minute.
///
/// ```
/// use graft_audit::Rfc3339;
/// use graft_core::Timestamp;
/// let moment: Rfc3339 = "2023-11-14T23:13:20.5+01:00".parse()?;
/// assert_eq!(moment.0, Timestamp(1_700_000_000_500_000_000));
/// assert_eq!(moment.to_string(), "2023-11-14T22:13:20.500000000Z");
/// assert_eq!(format!("{moment:.0}"), "2023-11-14T22:13:20Z");
/// assert!("2023-02-29".parse::<Rfc3339>().is_err());
/// # Ok::<(), graft_audit::TimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.0 / NANOS, self.0.0 % NANOS);
        let (days, of_day) = (seconds / DAY, seconds % DAY);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let digits = f.precision().unwrap_or(9).min(9);
        if digits > 0 {
            let scale = 10_u64.pow(9 - digits as u32);
            write!(f, ".{:0digits$}", nanos / scale)?;
        }
        f.write_str("Z")
    }
}

/// The text is not a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is a date, such as 2026-01-31, or a date and a time, such as 2026-01-31T18:30:00Z")]
pub struct TimeError;

impl FromStr for Rfc3339 {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse(text.as_bytes()).map(|nanos| Self(Timestamp(nanos))).ok_or(TimeError)
    }
}

fn parse(text: &[u8]) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?);
    if date[4] != b'-' || date[7] != b'-' || year < 1970 {
        return None;
    }
    let days = days_before(year, month, day)?;
    if rest.is_empty() {
        return (days * DAY).checked_mul(NANOS);
    }
    let (clock, rest) = rest.split_at_checked(9)?;
    let (hour, minute, second) = (number(&clock[1..3])?, number(&clock[4..6])?, number(&clock[7..])?);
    let is_clock = matches!(clock[0], b'T' | b't' | b' ') && clock[3] == b':' && clock[6] == b':';
    if !is_clock || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let (east, offset) = offset(zone)?;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    let seconds = if east { seconds.checked_sub(offset)? } else { seconds + offset };
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

/// All of `digits` as a number; they are few.
fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, &digit| digit.is_ascii_digit().then(|| 10 * number + u64::from(digit - b'0')))
}

/// The nanoseconds of a fraction, if one is there, and what stands behind it.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(behind) = text.strip_prefix(b".") else { return Some((0, text)) };
    let digits = behind.iter().take_while(|digit| digit.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (fraction, zone) = behind.split_at(digits);
    Some((number(fraction)? * 10_u64.pow(9 - digits as u32), zone))
}

/// Whether the zone is east of Greenwich, and by how many seconds it is off.
fn offset(zone: &[u8]) -> Option<(bool, u64)> {
    if matches!(zone, b"Z" | b"z") {
        return Some((true, 0));
    }
    let [sign @ (b'+' | b'-'), hour @ .., b':', m1, m2] = zone else { return None };
    let (hour, minute) = (number(hour)?, number(&[*m1, *m2])?);
    (zone.len() == 6 && hour < 24 && minute < 60).then_some((*sign == b'+', hour * 3600 + minute * 60))
}

/// Year, month and day of the day that comes `days` after 1970-01-01: `civil_from_days` of Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms", for days that are not before that one.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years begin in March, so that the leap day is the last one; eras of 400 years are all alike.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

/// The days from 1970-01-01 to this one, if it is in the calendar: `days_from_civil` of the same author.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year_from_march, from_march) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = (146_097 * era + of_era).checked_sub(719_468)?;
    // A day that is in no month comes out as another one.
    (civil(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<u64> {
        text.parse::<Rfc3339>().ok().map(|moment| moment.0.0)
    }

    #[test]
    fn known_moments() {
        // date -u -d @SECONDS
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(format!("{:.0}", Rfc3339(Timestamp(seconds * NANOS))), text);
            assert_eq!(nanos(text), Some(seconds * NANOS));
        }
        assert_eq!(format!("{:.3}", Rfc3339(Timestamp(1_234_999_999))), "1970-01-01T00:00:01.234Z");
        assert_eq!(Rfc3339(Timestamp(u64::MAX)).to_string(), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn every_day_follows_the_one_before_and_is_read_as_it_is_printed() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..220_000 {
            assert_eq!(civil(days), (year, month, day));
            assert_eq!(days_before(year, month, day), Some(days));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (month, day) = if day < length { (month, day + 1) } else { (month + 1, 1) };
            (year, month) = if month > 12 { (year + 1, 1) } else { (year, month) };
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for step in 0..2000_u64 {
            let moment = Rfc3339(Timestamp(step.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
        assert_eq!(nanos("1970-01-01T00:00:00.000000001Z"), Some(1));
        assert_eq!(nanos("1970-01-02"), Some(DAY * NANOS));
        assert_eq!(nanos("1970-01-01T23:00:00-01:00"), Some(DAY * NANOS));
    }

    #[test]
    fn nothing_else_is_a_moment() {
        for text in [
            "",
            "1970",
            "1970-1-1",
            "1970-00-01",
            "1970-13-01",
            "1970-01-00",
            "1970-02-29",
            "2100-02-29",
            "1969-12-31",
            "1970-01-01T",
            "1970-01-01T00:00:00",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.0000000001Z",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00+01:00",
            "1970-01-01T00:00:00+24:00",
            "2554-07-21T23:34:33.709551616Z",
            "9999-12-31",
            "1970-01-01T00:00:00Zz",
            "+970-01-01",
            "1970-01-01T0é:00:00Z",
            "19é0-01-01",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }
}
