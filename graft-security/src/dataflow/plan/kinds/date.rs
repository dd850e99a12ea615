//! Dates: ISO 8601-1 (§5.2.2 the calendar date, §5.3 the time of day, §5.4 both), and as English letters write them.

use std::ops::Range;

use super::{is_word, runs};

/// A date and, if one is known, a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    year: u16,
    month: u8,
    day: u8,
    /// Seconds of the day.
    time: Option<u32>,
}

impl Date {
    pub(super) fn spelled(&self) -> String {
        let Self { year, month, day, time } = *self;
        let date = format!("{year:04}-{month:02}-{day:02}");
        match time {
            None => date,
            Some(time) => format!("{date} {:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60),
        }
    }
}

/// The place of `value` in time, if the whole of it is a date: seconds of a calendar in which each month has
/// 31 days, which keeps the order.
pub(in super::super) fn moment(value: &str) -> Option<f64> {
    let value = value.trim();
    let (date, len) = date(value)?;
    let days = (u32::from(date.year) * 12 + u32::from(date.month)) * 31 + u32::from(date.day);
    (len == value.len()).then(|| f64::from(days) * 86_400.0 + f64::from(date.time.unwrap_or(0)))
}

pub(super) fn dates(text: &str, found: &mut dyn FnMut(&[&str])) {
    let mut behind = 0;
    for word in runs(text, is_word) {
        if word.start < behind {
            continue;
        }
        if let Some((date, len)) = date(&text[word.start..]) {
            behind = word.start + len;
            let whole = date.spelled();
            let day = Date { time: None, ..date }.spelled();
            if whole == day { found(&[&day]) } else { found(&[&whole, &day]) }
        }
    }
}

/// The date that `text` begins with, and its length in bytes.
pub(super) fn date(text: &str) -> Option<(Date, usize)> {
    iso_date(text).or_else(|| written_date(text))
}

pub(super) fn iso_date(text: &str) -> Option<(Date, usize)> {
    let digits = |range: Range<usize>| {
        let part = text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
        part.parse::<u16>().ok()
    };
    let is_at = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|b| marks.contains(b));
    let ends = |at: usize| !text[at..].starts_with(|c: char| is_word(c) || c == '-');
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    if !is_at(4, b"-") || !is_at(7, b"-") || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = Date { year, month: month as u8, day: day as u8, time: None };
    let time = || {
        let (hour, minute) = (digits(11..13)?, digits(14..16)?);
        if !is_at(10, b"T t") || !is_at(13, b":") || hour > 23 || minute > 59 {
            return None;
        }
        let second = digits(17..19).filter(|second| is_at(16, b":") && *second < 61);
        let time = u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second.unwrap_or(0));
        let mut len = if second.is_some() { 19 } else { 16 };
        if second.is_some() && is_at(len, b".") {
            let fraction = text[len + 1..].bytes().take_while(u8::is_ascii_digit).count();
            len += if fraction > 0 { 1 + fraction } else { 0 };
        }
        let has_offset = is_at(len, b"+-") && is_at(len + 3, b":");
        if has_offset && digits(len + 1..len + 3).and(digits(len + 4..len + 6)).is_some() {
            len += 6;
        }
        len += usize::from(is_at(len, b"Zz"));
        ends(len).then_some((Date { time: Some(time), ..date }, len))
    };
    time().or_else(|| (ends(10) || is_at(10, b"Tt")).then_some((date, 10)))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `15 May 2024`, `May 15th, 2024` and their like.
fn written_date(text: &str) -> Option<(Date, usize)> {
    let mut words = runs(text, is_word).take(3).map(|range| (&text[range.clone()], range));
    let (first, start) = words.next().filter(|(_, range)| range.start == 0)?;
    let (second, middle) = words.next()?;
    let (third, end) = words.next()?;
    let is_apart = |between: Range<usize>| [" ", ", ", ". "].contains(&&text[between]);
    if !is_apart(start.end..middle.start) || !is_apart(middle.end..end.start) {
        return None;
    }
    let month = |word: &str| {
        let word = word.to_lowercase();
        let is_it = |name: &&str| word.len() >= 3 && name.starts_with(word.as_str());
        MONTHS.iter().position(is_it).and_then(|at| u8::try_from(at + 1).ok())
    };
    let day = |word: &str| {
        let digits = word.trim_end_matches(|c: char| "stndrh".contains(c));
        digits.parse::<u8>().ok().filter(|day| (1..=31).contains(day))
    };
    let year = third.parse::<u16>().ok().filter(|_| third.len() == 4)?;
    let (month, day) = match (month(first), month(second)) {
        (Some(month), _) => (month, day(second)?),
        (None, Some(month)) => (month, day(first)?),
        (None, None) => return None,
    };
    Some((Date { year, month, day, time: None }, end.end))
}
