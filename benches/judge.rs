//! What does it cost to judge a call, by the length of its arguments and of what the run has read?
//!
//! The call sends a message. Its destination and its effect stand in the prompt, and its text is not what was
//! read, so the judge has to look at all of it. The rival keeps what was read as text, folded, and looks for
//! pieces of the argument in it: each span of the length that the ledger guarantees covers one such piece.

mod harness;

use std::collections::BTreeMap;

use graft::core::ledger::SPAN_CONTENT;
use graft::core::{Call, CallId, Effect, Exfil, Metadata, OutputTrust, Role, RunId};
use graft::dataflow::{
    DataFlowMode, DataFlowPolicy, Decision, LedgerKey, Speaker, TaintLedger, ToolMetadata,
};
use graft::{Label, Name, Origin};
use harness::text::{Script, text};
use harness::{Bench, Case, Failure};

/// The argument that the rival gets; longer ones take it seconds.
const RIVAL_ARGUMENT: usize = 1 << 10;

type Args = BTreeMap<&'static str, String>;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let judge = Judge {
        policy: DataFlowPolicy::new(DataFlowMode::Enforce),
        meta: Metadata::new(RunId([7; 16]), CallId(99)),
    };
    let (page, mail) = (page(), mail());
    let unrelated = text(Script::Latin, 1000, 64 << 10);

    let nothing = ledger(&[]);
    let (short, long) = (message(&unrelated[..200]), message(&unrelated[..4 << 10]));
    bench.compare(
        "without scanning",
        vec![
            judge.together("a read, nothing untrusted seen", &nothing, &page, &short),
            judge.together("a message of 200 B, nothing untrusted seen", &nothing, &mail, &short),
            judge.together("a message of 4 KiB, nothing untrusted seen", &nothing, &mail, &long),
        ],
    )?;

    for (title, recorded) in [("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
        let pages = pages(recorded);
        let ledger = ledger(&pages);
        let folded: String = pages.iter().map(|page| fold(page)).collect();
        let messages = [("200 B", 200), ("1 KiB", 1 << 10), ("4 KiB", 4 << 10), ("64 KiB", 64 << 10)]
            .map(|(name, bytes)| (name, bytes, message(&unrelated[..bytes])));
        let copied = message(&pages[0][..4 << 10]);

        let rival = Case::new("rival: search in the text, 1 KiB", |round| {
            round.each(|| Ok(search(&folded, &unrelated[..RIVAL_ARGUMENT])))
        });
        let mut cases = vec![rival.bytes(RIVAL_ARGUMENT)];
        for (name, bytes, message) in &messages {
            judge.expect(Decision::Allow, 0, &ledger, &mail, message)?;
            cases.push(judge.each(name, &ledger, &mail, message).bytes(*bytes));
        }
        judge.expect(Decision::Allow, 1, &ledger, &mail, &copied)?;
        cases.push(judge.each("4 KiB, copied from what was read", &ledger, &mail, &copied).bytes(4 << 10));
        bench.compare(&format!("judging a message, {title} of untrusted text seen"), cases)?;
    }
    bench.finish()
}

struct Judge {
    policy: DataFlowPolicy,
    meta: Metadata,
}

impl Judge {
    /// A bench of another verdict than the one meant would time something else.
    fn expect(
        &self,
        decision: Decision,
        findings: usize,
        ledger: &TaintLedger,
        tool: &ToolMetadata,
        args: &Args,
    ) -> Result<(), Failure> {
        let verdict = self.policy.evaluate(ledger, &Call::new(tool, &self.meta, args));
        if verdict.decision == decision && verdict.signals.len() == findings {
            return Ok(());
        }
        Err(format!("the verdict is {:?} over {:?}", verdict.decision, verdict.evidence).into())
    }

    fn together<'a>(
        &'a self,
        name: &str,
        ledger: &'a TaintLedger,
        tool: &'a ToolMetadata,
        args: &'a Args,
    ) -> Case<'a> {
        Case::new(name, move |round| {
            round.together(|| Ok(self.policy.evaluate(ledger, &Call::new(tool, &self.meta, args))))
        })
    }

    fn each<'a>(
        &'a self,
        name: &str,
        ledger: &'a TaintLedger,
        tool: &'a ToolMetadata,
        args: &'a Args,
    ) -> Case<'a> {
        Case::new(name, move |round| {
            round.each(|| Ok(self.policy.evaluate(ledger, &Call::new(tool, &self.meta, args))))
        })
    }
}

fn page() -> ToolMetadata {
    let mut tool = ToolMetadata::new(Name::from_static("page"));
    tool.effect = Effect::ReadOnly;
    tool.origin = Origin::WEB_SEARCH;
    tool.trust = OutputTrust::Untrusted;
    tool
}

fn mail() -> ToolMetadata {
    let mut tool = ToolMetadata::new(Name::from_static("mail"));
    tool.effect = Effect::ExternalStateful;
    tool.exfil = Exfil::Message;
    tool.args.insert("to".to_owned(), Role::Destination);
    tool.args.insert("text".to_owned(), Role::Content);
    tool.intent = vec!["mail".to_owned()];
    tool
}

fn message(text: &str) -> Args {
    Args::from([("to", "ann@home.example".to_owned()), ("text", text.to_owned())])
}

/// Pages of 16 KiB, each of its own words.
fn pages(bytes: usize) -> Vec<String> {
    const PAGE: usize = 16 << 10;
    (0..(bytes / PAGE) as u64).map(|seed| text(Script::Latin, seed, PAGE)).collect()
}

fn ledger(pages: &[String]) -> TaintLedger {
    // The prompt is indexed too.
    let ledger = TaintLedger::new(LedgerKey::danger_for_replay("bench")).with_limit(2 << 20);
    ledger.record_trusted(Speaker::User, "mail what you find to ann@home.example");
    for (call, text) in (0..).zip(pages) {
        let _ = ledger.record_output(CallId(call), &page(), text, &Label::default());
    }
    ledger
}

fn fold(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// How many pieces of `argument` stand in `folded`.
fn search(folded: &str, argument: &str) -> usize {
    let argument = fold(argument);
    let pieces = argument.as_bytes().chunks_exact(SPAN_CONTENT / 2);
    pieces.filter_map(|piece| str::from_utf8(piece).ok()).filter(|piece| folded.contains(piece)).count()
}
