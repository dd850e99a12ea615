//! A page for somebody who did not write the code: what happened, who did it, what was stopped and why, and how
//! far the log it was made from can be believed.

mod page;
mod tally;
mod timeline;
mod words;

use std::fmt;

use crate::{LogId, StoredEvent};
use page::Page;
use tally::Tally;

/// What a page says where nothing outside of the log was compared with it.
pub const NO_ANCHOR: &str = "no anchor: a rollback to a commit boundary cannot be seen";

/// What is known of a log as a whole, for the head of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assurance {
    /// Which log it is.
    pub log: LogId,
    /// Whether everything that was looked at verified.
    pub intact: bool,
    /// How it was looked at and what was found, in a sentence or several lines.
    pub checked: String,
    /// What it was compared with that its owner cannot change; `None` puts [`NO_ANCHOR`] on the page.
    pub anchor: Option<String>,
}

/// Counts records, and makes a page of HTML out of the counts.
///
/// The page is one file: no scripts, nothing that is loaded from anywhere, in light and dark, wide and narrow. Every
/// text in it is escaped. It stays below [`Report::MAX_BYTES`] and its maker below some hundred KiB, however
/// long the log: of what is more than fits, the page says how much more there is.
///
/// ```
/// use graft_audit::{Assurance, LogId, NO_ANCHOR, Report};
/// let checked = "every record was sealed with the key <this>".to_owned();
/// let assurance = Assurance { log: LogId([7; 16]), intact: true, checked, anchor: None };
/// let page = Report::new().html(&assurance);
/// assert!(page.starts_with("<!doctype html>") && page.len() < Report::MAX_BYTES);
/// assert!(page.contains("the key &lt;this&gt;") && page.contains(NO_ANCHOR));
/// ```
#[derive(Default)]
pub struct Report(Tally);

impl Report {
    /// No page is longer than this.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Nothing is counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one record. They come in the order of the log.
    pub fn add(&mut self, stored: &StoredEvent) {
        self.0.add(stored);
    }

    /// The page.
    pub fn html(&self, assurance: &Assurance) -> String {
        Page::of(&self.0, assurance)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("records", &self.0.records).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use graft_core::{Action, CallId, Ending, Event, Name, RunId, Seq, Signal, Timestamp};

    use super::*;
    use crate::Leaf;
    use crate::sample::stored;

    fn assurance() -> Assurance {
        let checked = "checked with the key".to_owned();
        Assurance { log: LogId([3; 16]), intact: true, checked, anchor: None }
    }

    fn page(records: impl IntoIterator<Item = StoredEvent>) -> String {
        let mut report = Report::new();
        records.into_iter().for_each(|stored| report.add(&stored));
        report.html(&assurance())
    }

    /// A call that returned, of the `n`th of `runs` runs and the `n`th of `actors` actors.
    fn call(n: u64, runs: u64, actors: u64) -> StoredEvent {
        let name = |text: String| Name::new(text).expect("a name");
        let (actor, target) = (name(format!("agent:{}", n % actors)), name(format!("Bank.method{n}")));
        let time = Timestamp(1_700_000_000_000_000_000 + n * 1_000_000_000);
        let mut event = Event::new(time, actor, Action::ToolExecuteEnd, target, Ending::Ok);
        event.run = Some(RunId(u128::from(n % runs).to_be_bytes()));
        event.call = Some(CallId(n));
        StoredEvent { seq: Seq(n), leaf: Leaf([0; 32]), event }
    }

    fn denied(n: u64, runs: u64, actors: u64) -> StoredEvent {
        let mut denied = call(n, runs, actors);
        (denied.event.action, denied.event.ending) = (Action::DataflowBlocked, Ending::Denied);
        denied.event.signals = Signal::ALL.into();
        denied
    }

    #[test]
    fn a_denial_is_told_with_who_what_where_and_why() {
        let page = page([stored(1_700_000_000_000_000_000)]);
        for told in ["agent:7", "Bank.send_money", "2023-11-14", "tool:dataflow:blocked", "untrusted-to-sink"]
        {
            assert!(page.contains(told), "{told}");
        }
        for signal in [Signal::UntrustedToSink, Signal::UntrustedAuthority] {
            assert!(page.contains(words::signal(signal)), "{signal:?}");
        }
        assert!(!page.contains(words::signal(Signal::SecretToSink)));
    }

    #[test]
    fn a_page_loads_nothing_and_runs_nothing() {
        let page = page([call(1, 1, 1), denied(2, 1, 1)]).to_lowercase();
        for foreign in [
            "<script",
            "http:",
            "https:",
            "src=",
            "@import",
            "url(",
            "<link",
            "<iframe",
            "onload",
            "javascript",
        ] {
            // The one address is the name of SVG, which is fetched by nobody and which inline SVG does without.
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("content-security-policy") && page.contains("default-src 'none'"));
    }

    #[test]
    fn every_text_is_escaped() {
        let mut assurance = assurance();
        let hostile = "<script>alert('1')</script>\"&\u{202e}\x1b[2J";
        (assurance.checked, assurance.anchor) = (hostile.to_owned(), Some(hostile.to_owned()));
        let page = Report::new().html(&assurance);
        assert!(!page.contains("<script>") && !page.contains('\x1b') && !page.contains('\u{202e}'));
        let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\\u{202e}\\u{1b}[2J";
        assert_eq!(page.matches(escaped).count(), 2, "{page}");
        assert!(!page.contains(NO_ANCHOR));
    }

    #[test]
    fn a_log_that_does_not_verify_is_not_shown_as_one_that_does() {
        let broken = Report::new().html(&Assurance { intact: false, ..assurance() });
        assert!(broken.contains("does not verify") && !page([]).contains("does not verify"));
    }

    #[test]
    fn a_page_is_bounded_and_says_what_it_leaves_out() {
        let long = "x".repeat(100);
        let mut report = Report::new();
        for n in 0..30_000 {
            let mut denied = denied(n, 5000, 5000);
            denied.event.actor = Name::new(format!("agent:{}{long}", n % 5000)).expect("a name");
            denied.event.target = Name::new(format!("{n}{long}")).expect("a name");
            denied.event.code = Some(Name::new("dataflow_policy_blocked").expect("a name"));
            report.add(&denied);
        }
        let page = report.html(&assurance());
        assert!(page.len() < Report::MAX_BYTES, "{}", page.len());
        assert!(page.contains("and 29,800 more") && page.contains("30,000"), "{}", page.len());
    }

    #[test]
    fn the_same_log_makes_the_same_page() {
        let records = || (0..500).map(|n| if n % 7 == 0 { denied(n, 9, 5) } else { call(n, 9, 5) });
        assert_eq!(page(records()), page(records()));
        assert_ne!(page(records()), page(records().skip(1)));
    }
}
