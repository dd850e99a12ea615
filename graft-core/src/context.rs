//! What a callee knows of the call that it carries out, and the trace that the call is part of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CallId, Credential, Deadline, Headers, Label, Metadata, Peer, Request, RunId, SpanId, TraceId};

/// The call that a method carries out: a parameter `&CallContext<'_>` of a described method, which does not travel.
///
/// All of it is what the caller says of itself, but for [`CallContext::peer`], which the transport knows.
///
/// ```
/// use graft_core::{CallContext, CallId, InterfaceId, Label, Metadata, MethodId, Request, RunId};
/// let (mut meta, label) = (Metadata::new(RunId([7; 16]), CallId(3)), Label::default());
/// meta.headers.set("baggage", "tenant=7")?;
/// let request = Request::new(InterfaceId([1; 32]), MethodId([2; 8]), &meta, &label);
/// let context = CallContext::of(&request);
/// assert_eq!((context.call(), context.header("Baggage")), (CallId(3), Some("tenant=7")));
/// # Ok::<(), graft_core::HeaderError>(())
/// ```
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    meta: &'a Metadata,
    label: &'a Label,
    peer: Option<&'a Peer>,
}

impl<'a> CallContext<'a> {
    /// That of `request`.
    pub fn of(request: &Request<'a>) -> Self {
        Self { meta: request.meta, label: request.label, peer: request.peer }
    }

    /// All that travels beside the values.
    pub fn metadata(&self) -> &'a Metadata {
        self.meta
    }

    /// The number of the call within its run.
    pub fn call(&self) -> CallId {
        self.meta.call
    }

    /// The caller's run.
    pub fn run(&self) -> RunId {
        self.meta.run
    }

    /// When the caller stops waiting, on the clock of this side.
    pub fn deadline(&self) -> Option<Deadline> {
        self.meta.deadline
    }

    /// The trace and the caller's span.
    pub fn trace(&self) -> TraceContext {
        self.meta.trace
    }

    /// The value of a header, its name without regard to case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.meta.headers.find(name)
    }

    /// All headers.
    pub fn headers(&self) -> &'a Headers {
        &self.meta.headers
    }

    /// Proof of who calls, which nobody has looked at unless an authenticator stands in front of the method.
    pub fn credential(&self) -> Option<&'a Credential> {
        self.meta.credential.as_ref()
    }

    /// What the caller says of the arguments.
    pub fn label(&self) -> &'a Label {
        self.label
    }

    /// Who is at the other end, where the transport knows.
    pub fn peer(&self) -> Option<&'a Peer> {
        self.peer
    }
}

/// Shows which call it is and nothing that it carries.
impl fmt::Debug for CallContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallContext({} of {:?})", self.meta.call, self.meta.run)
    }
}

/// W3C trace context of a call, <https://www.w3.org/TR/trace-context/>.
///
/// ```
/// use graft_core::TraceContext;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceContext = text.parse()?;
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// assert!("00-00000000000000000000000000000000-00f067aa0ba902b7-01".parse::<TraceContext>().is_err());
/// # Ok::<(), graft_core::TraceParentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub span: SpanId,
    /// The flags byte; bit 0 is "sampled".
    pub flags: u8,
}

impl Default for TraceContext {
    fn default() -> Self {
        Self { trace: TraceId([0; 16]), span: SpanId([0; 8]), flags: 0 }
    }
}

impl TraceContext {
    /// The bytes of a `traceparent` of version 00.
    const LEN: usize = 55;

    /// Whether it names no trace.
    pub fn is_absent(&self) -> bool {
        self.trace.0 == [0; 16] || self.span.0 == [0; 8]
    }

    /// Whether the caller may have recorded its span.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The span of `call` inside this one. Equal calls of one run under one parent have equal spans.
    pub(crate) fn child(&self, run: RunId, call: CallId) -> Self {
        let half = |at: usize| run.0[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let parts = [u64::from_be_bytes(self.span.0), half(0), half(8), call.0];
        let span = parts.into_iter().fold(0, |sum, part| mixed(sum ^ part)).max(1); // 0 would mean absent
        Self { span: SpanId(span.to_be_bytes()), ..*self }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014), which spreads each bit over all of them.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// A `traceparent` that names no span. The specification has it ignored: the call starts a trace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent is `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits: hexadecimal, lower case, no id all zero"
)]
pub struct TraceParentError;

/// Reads a `traceparent` as the specification has it: version 00 exactly, a later one by its first four
/// fields, of whose flags only "sampled" is known.
impl std::str::FromStr for TraceContext {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let (head, rest) = text.as_bytes().split_at_checked(Self::LEN).ok_or(TraceParentError)?;
        if [2, 35, 52].iter().any(|at| head[*at] != b'-') {
            return Err(TraceParentError);
        }
        let [version] = digits(&head[..2])?;
        let (trace, span, [flags]) = (digits(&head[3..35])?, digits(&head[36..52])?, digits(&head[53..])?);
        let flags = match (version, rest) {
            (0xff, _) => return Err(TraceParentError),
            (0, []) => flags,
            (0, _) => return Err(TraceParentError),
            (_, [] | [b'-', ..]) => flags & 1,
            _ => return Err(TraceParentError),
        };
        let parsed = Self { trace: TraceId(trace), span: SpanId(span), flags };
        if parsed.is_absent() { Err(TraceParentError) } else { Ok(parsed) }
    }
}

/// A `traceparent` of version 00. One that [is absent](TraceContext::is_absent) is not to be sent.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

fn digits<const N: usize>(text: &[u8]) -> Result<[u8; N], TraceParentError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(TraceParentError),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    fn parsed(text: &str) -> Option<TraceContext> {
        text.parse().ok()
    }

    #[test]
    fn the_examples_of_the_specification_parse_and_print_as_they_were() {
        // Those of the header itself, and of the walk through a few hops.
        for (text, sampled) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01", true),
        ] {
            let context = parsed(text).expect("a traceparent");
            assert_eq!((context.to_string().as_str(), context.is_sampled()), (text, sampled));
        }
    }

    #[test]
    fn later_versions_are_read_by_the_fields_that_this_one_knows() {
        let known = parsed(&format!("00-{SPAN}-01")).expect("a traceparent");
        for text in
            [format!("01-{SPAN}-01"), format!("cc-{SPAN}-09"), format!("cc-{SPAN}-01-what-the-future")]
        {
            assert_eq!(parsed(&text), Some(known), "{text}");
        }
        for text in [format!("cc-{SPAN}-01.what"), format!("cc-{SPAN}-0"), format!("ff-{SPAN}-01")] {
            assert_eq!(parsed(&text), None, "{text}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_no_traceparent() {
        let good = format!("00-{SPAN}-01");
        for text in [
            String::new(),
            format!("{good}-"),
            format!("{good}0"),
            format!(" {good}"),
            good.to_uppercase(),
            good.replace('-', "_"),
            good.replace("4bf9", "4bg9"),
            good.replace("4bf9", "4b\u{e9}"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned(),
        ] {
            assert_eq!(parsed(&text), None, "{text}");
        }
        for len in 0..good.len() {
            assert_eq!(parsed(&good[..len]), None, "cut at {len}");
        }
    }

    #[test]
    fn children_are_in_the_trace_and_apart_from_each_other() {
        let parent = parsed(&format!("00-{SPAN}-01")).expect("a traceparent");
        let spans: std::collections::HashSet<SpanId> = (0..1000)
            .flat_map(|call| [1, 2].map(|run| parent.child(RunId([run; 16]), CallId(call))))
            .inspect(|child| assert_eq!((child.trace, child.flags), (parent.trace, parent.flags)))
            .map(|child| child.span)
            .collect();
        assert_eq!((spans.len(), spans.contains(&parent.span)), (2000, false));
    }
}
