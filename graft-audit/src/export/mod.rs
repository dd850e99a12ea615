//! Records as lines of JSON, for other programs, with whatever is to stay in the house left out.

mod json;

use std::io::{self, Write};
use std::str::FromStr;

use graft_core::{FieldValue, Fields};

use crate::{Rfc3339, StoredEvent};
use json::{Hex, Line};

/// Writes records as JSON, one object (RFC 8259) a line, in ASCII.
///
/// The members stand in a fixed order, and each is there, `null` if the record has nothing for it. A member that
/// is withheld is not there, and `withheld` names it, so that "none" and "not told" cannot be mixed up. `seq` and
/// `leaf` are always there: whatever is withheld, an inclusion proof of the record still holds.
/// It shows that the record is in the log, not what the record says: that takes the log and its key.
///
/// Whatever is not printable ASCII, and could steer a terminal or a viewer, is written as `\u` and four digits,
/// though no record that graft writes holds any. Numbers are as large as they are: up to 2 to the 64th.
#[derive(Clone, Debug, Default)]
pub struct JsonLines {
    withheld: u32,
}

macro_rules! members {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// A member of an exported record that can be withheld.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Member {
            $($(#[$doc])* $variant,)*
        }

        impl Member {
            /// Each of them, in the order in which they are written.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What it is called in a line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

members! {
    /// When.
    Time = "time";
    /// Who.
    Actor = "actor";
    /// What.
    Action = "action";
    /// On what.
    Target = "target";
    /// How it ended.
    Ending = "ending";
    /// The run.
    Run = "run";
    /// The call.
    Call = "call";
    /// The trace.
    Trace = "trace";
    /// The record that this one completes.
    Intent = "intent";
    /// What the guard decided.
    Decision = "decision";
    /// What the guard noticed.
    Signals = "signals";
    /// The code.
    Code = "code";
    /// The policy's hash.
    Policy = "policy";
    /// When, by the monotonic clock.
    Monotonic = "monotonic";
    /// The host's own fields.
    Fields = "fields";
}

/// No record has such a member, or not one that can be withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what can be withheld is time, actor, action, target, ending, run, call, trace, intent, decision, signals, \
     code, policy, monotonic and fields"
)]
pub struct MemberError;

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        Self::ALL.iter().copied().find(|member| member.as_str() == text).ok_or(MemberError)
    }
}

impl JsonLines {
    /// Everything is told.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves `member` out.
    #[must_use]
    pub fn withhold(mut self, member: Member) -> Self {
        self.withheld |= 1 << member as u32;
        self
    }

    fn is_withheld(&self, member: Member) -> bool {
        self.withheld & 1 << member as u32 != 0
    }

    /// Writes one record and a line end.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, stored: &StoredEvent, out: &mut impl Write) -> io::Result<()> {
        let mut line = Line::begin(out)?;
        line.member("seq")?.number(stored.seq.0)?;
        line.member("leaf")?.hex(&stored.leaf.0)?;
        for &member in Member::ALL {
            if !self.is_withheld(member) {
                line.member(member.as_str())?;
                value(&mut line, stored, member)?;
            }
        }
        if self.withheld != 0 {
            let withheld = Member::ALL.iter().filter(|member| self.is_withheld(**member));
            line.member("withheld")?.words(withheld.map(|member| member.as_str()))?;
        }
        line.end()?;
        out.write_all(b"\n")
    }
}

fn value(line: &mut Line<'_, impl Write>, stored: &StoredEvent, member: Member) -> io::Result<()> {
    let event = &stored.event;
    match member {
        Member::Time => line.text(Rfc3339(event.time)),
        Member::Actor => line.text(&event.actor),
        Member::Action => line.text(event.action.as_str()),
        Member::Target => line.text(&event.target),
        Member::Ending => line.text(event.ending.as_str()),
        Member::Run => line.text_or_null(event.run),
        Member::Call => line.number_or_null(event.call.map(|call| call.0)),
        Member::Trace => line.text_or_null(event.trace),
        Member::Intent => line.number_or_null(event.intent.map(|intent| intent.0)),
        Member::Decision => line.text_or_null(event.decision.map(|decision| decision.as_str())),
        Member::Signals => line.words(event.signals.iter().map(|signal| signal.as_str())),
        Member::Code => line.text_or_null(event.code.as_ref()),
        Member::Policy => line.text_or_null(event.policy.as_ref().map(|digest| Hex(digest))),
        Member::Monotonic => line.number(event.monotonic.0),
        Member::Fields => fields(line, &event.fields),
    }
}

/// An object of its own. A digest is one in turn, since a name may look like its digits.
fn fields(line: &mut Line<'_, impl Write>, fields: &Fields) -> io::Result<()> {
    let mut object = line.object()?;
    for (name, value) in fields.iter() {
        object.member(name.as_str())?;
        match value {
            FieldValue::Bool(truth) => object.number(truth),
            FieldValue::U64(number) => object.number(number),
            FieldValue::I64(number) => object.number(number),
            FieldValue::Name(name) => object.text(name),
            FieldValue::Digest(digest) => {
                let mut inner = object.object()?;
                inner.member("digest")?.hex(digest.as_bytes())?;
                inner.end()
            }
        }?;
    }
    object.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::stored;

    fn line(lines: &JsonLines, stored: &StoredEvent) -> String {
        let mut out = Vec::new();
        lines.write(stored, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_line_says_all_that_the_record_holds() {
        let expected = format!(
            r#"{{"seq":5,"leaf":"{}","time":"1970-01-01T00:00:00.000000007Z","actor":"agent:7","action":"tool:dataflow:blocked","target":"Bank.send_money","ending":"denied","run":"{}","call":3,"trace":"{}","intent":2,"decision":"block","signals":["untrusted-to-sink","untrusted-authority"],"code":"dataflow_policy_blocked","policy":"{}","monotonic":9,"fields":{{"account":{{"digest":"{}"}},"delta":-3,"paid":true,"region":"eu:west","tenant":18446744073709551615}}}}"#,
            "01".repeat(32),
            "ab".repeat(16),
            "08".repeat(16),
            "07".repeat(32),
            "09".repeat(32)
        );
        assert_eq!(line(&JsonLines::new(), &stored(7)), expected + "\n");
    }

    #[test]
    fn what_is_withheld_is_named_and_not_there() {
        let lines = JsonLines::new().withhold(Member::Actor).withhold(Member::Policy).withhold(Member::Run);
        let line = line(&lines, &stored(7));
        for gone in ["agent:7", "abab", "0707", r#""actor":"#, r#""run":"#, r#""policy":"#] {
            assert!(!line.contains(gone), "{gone}: {line}");
        }
        assert!(line.ends_with("\"withheld\":[\"actor\",\"run\",\"policy\"]}\n"), "{line}");
        let leaf = "01".repeat(32);
        assert!(line.starts_with(&format!("{{\"seq\":5,\"leaf\":\"{leaf}\",\"time\":")), "{line}");
    }

    #[test]
    fn everything_but_the_position_can_be_withheld() {
        let lines = Member::ALL.iter().fold(JsonLines::new(), |lines, &member| lines.withhold(member));
        let all =
            Member::ALL.iter().map(|member| format!("\"{}\"", member.as_str())).collect::<Vec<_>>().join(",");
        let leaf = "01".repeat(32);
        assert_eq!(
            line(&lines, &stored(7)),
            format!("{{\"seq\":5,\"leaf\":\"{leaf}\",\"withheld\":[{all}]}}\n")
        );
        for member in Member::ALL {
            assert_eq!(member.as_str().parse(), Ok(*member));
            assert!(MemberError.to_string().contains(member.as_str()));
        }
        assert_eq!("leaf".parse::<Member>(), Err(MemberError));
    }
}
