//! The page itself: HTML that is put together out of our own markup and other people's text.

use std::fmt::{Display, Write as _};

use graft_core::Timestamp;

use super::tally::{Denial, Run, Tally};
use super::timeline::Timeline;
use super::{Assurance, NO_ANCHOR, words};
use crate::Rfc3339;
use crate::text::is_steering;

/// The most rows of who did what.
const MAX_DEEDS: usize = 200;

/// A page that is being written. Markup is our own, known when this is compiled; whatever comes from elsewhere can
/// only come in through [`text`](Self::text), which escapes it.
pub(super) struct Page(String);

impl Page {
    pub(super) fn of(tally: &Tally, assurance: &Assurance) -> String {
        let mut page = Self(String::with_capacity(64 * 1024));
        page.head(tally, assurance).assurance(assurance).figures(tally).timeline(&tally.timeline);
        page.runs(tally).denials(tally).deeds(tally).glossary(tally);
        page.markup("<footer>Times are in UTC, by the clock of the machine that wrote the log. A record says who did ");
        page.markup("what, on what and how it ended; it never holds the values that were passed. ");
        page.markup("This page loads nothing and runs nothing.</footer>\n</main>\n</body>\n</html>\n");
        page.0
    }

    fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, whatever it holds: nothing in it is markup, and nothing steers what shows it.
    fn text(&mut self, text: impl Display) -> &mut Self {
        for c in text.to_string().chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                c if is_steering(c) => self.0.extend(c.escape_unicode()),
                c => self.0.push(c),
            }
        }
        self
    }

    fn head(&mut self, tally: &Tally, assurance: &Assurance) -> &mut Self {
        self.markup(concat!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Audit report</title>\n<style>\n",
            include_str!("page.css"),
            "</style>\n</head>\n<body>\n<main>\n<h1>Audit report</h1>\n<p class=\"lead\">",
        ));
        match tally.span {
            Some((first, last)) => self.text(moment(first)).markup(" to ").text(moment(last)),
            None => self.markup("The log holds no records."),
        };
        self.markup("<br>Log <code>").text(assurance.log).markup("</code></p>\n")
    }

    fn assurance(&mut self, assurance: &Assurance) -> &mut Self {
        let headline = if assurance.intact {
            "<section class=\"box good\"><h2>This log is as it was written</h2>\n"
        } else {
            "<section class=\"box bad\"><h2>This log does not verify</h2>\n<p>Something in it is not as it was \
             written. What this page tells comes from the records that verify, and from no others.</p>\n"
        };
        self.markup(headline).markup("<p class=\"checked\">").text(&assurance.checked).markup("</p>\n<p>");
        match &assurance.anchor {
            Some(anchor) => self.markup("Checked against: ").text(anchor).markup("."),
            None => {
                self.markup("Checked against <strong>")
                    .text(NO_ANCHOR)
                    .markup("</strong>. Somebody who can write to ");
                self.markup("the disk could have put an older copy of the log in its place.")
            }
        };
        self.markup("</p>\n</section>\n")
    }

    fn figures(&mut self, tally: &Tally) -> &mut Self {
        self.markup("<section class=\"figures\">\n");
        self.figure(tally.records, "records", "").figure(tally.calls, "calls that were let through", "");
        self.figure(tally.denied, "denials", if tally.denied > 0 { "denied" } else { "" });
        let others = if tally.of_other_runs > 0 { "runs, and more" } else { "runs" };
        self.figure(tally.runs.len() as u64, others, "").markup("</section>\n");
        self.remark(
            tally.flagged,
            "calls were let through that would have been stopped, had the policy been enforced.",
        );
        self.remark(
            tally.unended(),
            "calls began and have no recorded end: they were under way, or the program stopped.",
        );
        self.remark(
            tally.set_back,
            "records bear a time before that of the record in front of them: the clock was set \
             back. The order is that of the log all the same.",
        )
    }

    fn figure(&mut self, number: u64, what: &'static str, class: &'static str) -> &mut Self {
        self.markup("<div class=\"figure ")
            .markup(class)
            .markup("\"><b>")
            .text(grouped(number))
            .markup("</b> ");
        self.markup(what).markup("</div>\n")
    }

    fn remark(&mut self, number: u64, what: &'static str) -> &mut Self {
        if number > 0 {
            self.markup("<p class=\"remark\"><b>")
                .text(grouped(number))
                .markup("</b> ")
                .markup(what)
                .markup("</p>\n");
        }
        self
    }

    fn timeline(&mut self, timeline: &Timeline) -> &mut Self {
        let (places, highest) = (timeline.places(), timeline.highest());
        let Some((first, last)) = timeline.bars().next().zip(timeline.bars().last()) else { return self };
        self.markup("<section>\n<h2>When</h2>\n<p>Each bar is ")
            .markup(timeline.width())
            .markup(" of calls (");
        self.markup(
            "<span class=\"key call\"></span> let through, <span class=\"key deny\"></span> denied); the ",
        );
        self.markup("highest has ").text(grouped(highest)).markup(".</p>\n");
        self.markup(
            "<svg viewBox=\"0 0 960 180\" role=\"img\" aria-label=\"calls and denials over time\">\n",
        );
        // At least as wide as a bar of 24 would be: a single one would fill the page.
        let room = 960.0 / places.max(24) as f64;
        for (place, start, bar) in timeline.bars() {
            let (x, width) = (place as f64 * room, (room * 0.8).max(1.0));
            let height =
                |count: u64| if count == 0 { 0.0 } else { (count as f64 / highest as f64 * 150.0).max(1.5) };
            let (calls, denied) = (height(bar.calls), height(bar.denied));
            self.markup("<g><title>")
                .text(moment(start))
                .markup(": ")
                .text(grouped(bar.calls))
                .markup(" let through, ");
            self.text(grouped(bar.denied)).markup(" denied</title>");
            for (class, top, height) in
                [("call", 155.0 - calls, calls), ("deny", 155.0 - calls - denied, denied)]
            {
                if height > 0.0 {
                    self.markup("<rect class=\"")
                        .markup(class)
                        .markup("\" x=\"")
                        .text(format_args!("{x:.1}"));
                    self.markup("\" y=\"").text(format_args!("{top:.1}")).markup("\" width=\"");
                    self.text(format_args!("{width:.1}"))
                        .markup("\" height=\"")
                        .text(format_args!("{height:.1}"));
                    self.markup("\"/>");
                }
            }
            self.markup("</g>\n");
        }
        self.markup(
            "<line x1=\"0\" y1=\"155.5\" x2=\"960\" y2=\"155.5\"/>\n</svg>\n<p class=\"ends\"><span>",
        );
        self.text(moment(first.1)).markup("</span><span>");
        if last.0 > 0 {
            self.text(moment(last.1));
        }
        self.markup("</span></p>\n</section>\n")
    }

    fn runs(&mut self, tally: &Tally) -> &mut Self {
        if tally.runs.is_empty() {
            return self;
        }
        self.markup("<section>\n<h2>Runs</h2>\n<p>A run is one task of an agent, from what the user asked to the end.</p>\n");
        self.markup("<table>\n<thead><tr><th>When<th>How long<th>Calls<th>Denials<th>What was noticed<th>Run</tr></thead>\n");
        for run in &tally.runs {
            self.run(run);
        }
        self.markup("</table>\n");
        if tally.of_other_runs > 0 {
            self.markup("<p class=\"more\">and ")
                .text(grouped(tally.of_other_runs))
                .markup(" more records, of further runs</p>\n");
        }
        self.markup("</section>\n")
    }

    fn run(&mut self, run: &Run) {
        self.markup(if run.denied > 0 { "<tr class=\"denied\">" } else { "<tr>" });
        self.markup("<td data-label=\"When\">").text(moment(run.first));
        self.markup("<td data-label=\"How long\">").text(duration(run.last.0 - run.first.0));
        self.markup("<td data-label=\"Calls\" class=\"n\">").text(grouped(run.calls));
        self.markup("<td data-label=\"Denials\" class=\"n\">").text(grouped(run.denied));
        self.markup("<td data-label=\"Noticed\">");
        self.list(run.signals.iter().map(|signal| (words::signal(signal), signal.as_str())));
        self.markup("<td data-label=\"Run\"><code>").text(run.id).markup("</code></tr>\n");
    }

    /// Reasons, each with the word that the log has for it.
    fn list(&mut self, items: impl Iterator<Item = (&'static str, &'static str)>) {
        self.markup("<div>");
        for (told, word) in items {
            self.markup("<p>").text(told).markup(" <code>").text(word).markup("</code></p>");
        }
        self.markup("</div>");
    }

    fn denials(&mut self, tally: &Tally) -> &mut Self {
        self.markup("<section>\n<h2>What was denied</h2>\n");
        if tally.denials.is_empty() {
            return self.markup("<p>Nothing was denied.</p>\n</section>\n");
        }
        self.markup("<table>\n<thead><tr><th>When<th>Who<th>What<th>On what<th>Why<th>Record</tr></thead>\n");
        for denial in &tally.denials {
            self.denial(denial);
        }
        self.markup("</table>\n");
        let more = tally.denied - tally.denials.len() as u64;
        if more > 0 {
            self.markup("<p class=\"more\">and ").text(grouped(more)).markup(" more</p>\n");
        }
        self.markup("</section>\n")
    }

    fn denial(&mut self, denial: &Denial) {
        let event = &denial.event;
        self.markup("<tr><td data-label=\"When\">").text(moment(event.time));
        self.markup("<td data-label=\"Who\"><b>").text(&event.actor).markup("</b>");
        self.markup("<td data-label=\"What\"><div>").text(words::action(event.action)).markup(" <code>");
        self.text(event.action.as_str())
            .markup("</code></div><td data-label=\"On what\"><b>")
            .text(&event.target);
        self.markup("</b><td data-label=\"Why\"><div>");
        let signals = event.signals.iter().map(|signal| signal.as_str()).chain(std::iter::repeat(""));
        for (reason, signal) in words::reasons(event).into_iter().zip(signals) {
            self.markup("<p>").text(reason);
            if !signal.is_empty() {
                self.markup(" <code>").text(signal).markup("</code>");
            }
            self.markup("</p>");
        }
        self.markup("</div><td data-label=\"Record\" class=\"n\">").text(denial.seq).markup("</tr>\n");
    }

    fn deeds(&mut self, tally: &Tally) -> &mut Self {
        let deeds = tally.deeds();
        if deeds.is_empty() {
            return self;
        }
        self.markup("<section>\n<h2>Who did what</h2>\n<table>\n");
        self.markup("<thead><tr><th>Who<th>What<th>How often<th>Of these denied</tr></thead>\n");
        for (actor, action, counted) in deeds.iter().take(MAX_DEEDS) {
            self.markup("<tr><td data-label=\"Who\"><b>")
                .text(actor)
                .markup("</b><td data-label=\"What\"><code>");
            self.text(action.as_str())
                .markup("</code><td data-label=\"How often\" class=\"n\">")
                .text(grouped(counted.all));
            self.markup("<td data-label=\"Denied\" class=\"n\">")
                .text(grouped(counted.denied))
                .markup("</tr>\n");
        }
        self.markup("</table>\n");
        let rest: u64 = deeds.iter().skip(MAX_DEEDS).map(|(_, _, counted)| counted.all).sum();
        let more = rest + tally.other_deeds;
        if more > 0 {
            self.markup("<p class=\"more\">and ")
                .text(grouped(more))
                .markup(" more records, of others</p>\n");
        }
        self.markup("</section>\n")
    }

    fn glossary(&mut self, tally: &Tally) -> &mut Self {
        let actions = tally.actions();
        if actions.is_empty() {
            return self;
        }
        self.markup("<section>\n<h2>What the words mean</h2>\n<dl>\n");
        for action in actions {
            self.markup("<dt><code>")
                .text(action.as_str())
                .markup("</code><dd>Somebody ")
                .text(words::action(action));
            self.markup(".\n");
        }
        self.markup("</dl>\n</section>\n")
    }
}

/// To the second, as people read it.
fn moment(time: Timestamp) -> String {
    format!("{:.0}", Rfc3339(time)).replace('T', " ").replace('Z', "")
}

/// A length of time in two units at most.
fn duration(nanos: u64) -> String {
    let (millis, seconds) = (nanos / 1_000_000, nanos / 1_000_000_000);
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        let _ = grouped.write_char(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        let numbers = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        let times = [0, 59, 61, 3700, 90_000].map(|seconds: u64| duration(seconds * 1_000_000_000));
        assert_eq!(times, ["0 ms", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!(moment(Timestamp(1_700_000_000_999_999_999)), "2023-11-14 22:13:20");
    }
}
