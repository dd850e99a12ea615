//! How many calls and denials there were, and when: a histogram that coarsens as its span grows.

use std::collections::BTreeMap;

use graft_core::Timestamp;

/// The most bars that are drawn.
const MAX_BARS: u64 = 96;

/// Widths of a bar, in seconds, each a multiple of the one before, so that bars merge without being cut.
const WIDTHS: [u64; 13] =
    [1, 5, 15, 60, 300, 900, 3600, 6 * 3600, DAY, 7 * DAY, 28 * DAY, 364 * DAY, 3640 * DAY];

const DAY: u64 = 86_400;

const NANOS: u64 = 1_000_000_000;

/// Counts by time, in at most 96 bars from the first to the last.
#[derive(Default)]
pub(super) struct Timeline {
    width: usize,
    bars: BTreeMap<u64, Bar>,
}

/// What happened within one bar's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) calls: u64,
    pub(super) denied: u64,
}

impl Timeline {
    pub(super) fn add(&mut self, time: Timestamp, is_denied: bool) {
        let bar = self.bars.entry(time.0 / NANOS / WIDTHS[self.width]).or_default();
        bar.calls += u64::from(!is_denied);
        bar.denied += u64::from(is_denied);
        while self.places() > MAX_BARS && self.width + 1 < WIDTHS.len() {
            let factor = WIDTHS[self.width + 1] / WIDTHS[self.width];
            self.width += 1;
            for (at, bar) in std::mem::take(&mut self.bars) {
                let merged = self.bars.entry(at / factor).or_default();
                merged.calls += bar.calls;
                merged.denied += bar.denied;
            }
        }
    }

    /// How many bars the span has room for, empty ones included.
    pub(super) fn places(&self) -> u64 {
        let (first, last) = (self.bars.first_key_value(), self.bars.last_key_value());
        first.zip(last).map_or(0, |((first, _), (last, _))| last - first + 1)
    }

    /// The bars that are not empty, each with its place.
    pub(super) fn bars(&self) -> impl Iterator<Item = (u64, Timestamp, Bar)> {
        let first = self.bars.keys().next().copied().unwrap_or(0);
        self.bars.iter().map(move |(&at, &bar)| (at - first, Timestamp(at * WIDTHS[self.width] * NANOS), bar))
    }

    /// How high the highest bar is.
    pub(super) fn highest(&self) -> u64 {
        self.bars.values().map(|bar| bar.calls + bar.denied).max().unwrap_or(0)
    }

    /// What one bar stands for.
    pub(super) fn width(&self) -> &'static str {
        const WORDS: [&str; WIDTHS.len()] = [
            "one second",
            "5 seconds",
            "15 seconds",
            "one minute",
            "5 minutes",
            "15 minutes",
            "one hour",
            "6 hours",
            "one day",
            "one week",
            "4 weeks",
            "52 weeks",
            "520 weeks",
        ];
        WORDS[self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seconds: impl IntoIterator<Item = u64>) -> Timeline {
        let mut timeline = Timeline::default();
        seconds.into_iter().for_each(|second| timeline.add(Timestamp(second * NANOS), second % 2 == 1));
        timeline
    }

    #[test]
    fn every_width_is_a_multiple_of_the_one_before_and_the_last_holds_all_of_time() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] % pair[0] == 0 && pair[1] > pair[0]));
        assert!(u64::MAX / NANOS / WIDTHS[WIDTHS.len() - 1] < MAX_BARS);
    }

    #[test]
    fn nothing_is_lost_as_bars_merge() {
        for span in [1, 50, 96, 97, 5000, 1_000_000] {
            let timeline = timeline((0..span).map(|n| 1_700_000_000 + n));
            let sum =
                timeline.bars().fold((0, 0), |sum, (_, _, bar)| (sum.0 + bar.calls, sum.1 + bar.denied));
            assert_eq!(sum, (span.div_ceil(2), span / 2));
            assert!(timeline.places() <= MAX_BARS && timeline.places() >= MAX_BARS.min(span) / 7, "{span}");
        }
    }

    #[test]
    fn time_may_go_back() {
        let (up, down) = (timeline([10, 90_000, 500]), timeline([90_000, 500, 10]));
        assert!(up.bars().eq(down.bars()));
        assert_eq!((up.width(), up.places(), up.highest()), ("one hour", 26, 2));
    }

    #[test]
    fn a_clock_that_stood_at_both_ends_of_time_still_fits() {
        let timeline = timeline([0, u64::MAX / NANOS]);
        assert!(timeline.places() <= MAX_BARS, "{}", timeline.places());
        assert_eq!(timeline.bars().count(), 2);
    }
}
