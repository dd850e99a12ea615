//! The service that the suite calls, written by hand: no macro, no model.

use std::future::poll_fn;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Poll;

use futures::future::BoxFuture;
use graft_core::{
    Body, Fault, FaultCode, InterfaceId, Invoke, Label, Malformed, Metadata, Method, MethodId, Name, Payload,
    Peer, ReplyKind, Request, Sensitivity, Slot, ToolMetadata, TypedBody,
};

/// The methods of the [`TestService`]: each takes a `String` and returns a `String` or fails with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestMethod {
    /// Returns its argument.
    Echo,
    /// Returns its argument under the label that the argument came with.
    Relabel,
    /// Fails with its argument.
    Fail,
    /// Panics.
    Panic,
    /// Never returns; each poll asks for the next one.
    Hang,
    /// Takes a number, returns when [`Counters::turn`] is at it, and takes one off the turn.
    InTurn,
    /// Returns [`TestService::SECRET`] under a secret label.
    Secret,
    /// Returns its argument, and keeps in [`Counters::seen`] what came beside it.
    Look,
    /// The service does not have it.
    Unknown,
}

impl TestMethod {
    /// Every method.
    pub const ALL: [Self; 9] = [
        Self::Echo,
        Self::Relabel,
        Self::Fail,
        Self::Panic,
        Self::Hang,
        Self::InTurn,
        Self::Secret,
        Self::Look,
        Self::Unknown,
    ];

    /// What both ends know of it.
    pub fn method(self) -> &'static Method {
        static METHODS: LazyLock<[Method; 9]> =
            LazyLock::new(|| TestMethod::ALL.map(|method| describe(TestService::INTERFACE, method.name())));
        &METHODS[self as usize]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Relabel => "relabel",
            Self::Fail => "fail",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::InTurn => "in_turn",
            Self::Secret => "secret",
            Self::Look => "look",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) fn describe(interface: InterfaceId, name: &'static str) -> Method {
    let tool = ToolMetadata::new(Name::from_static(name));
    Method {
        interface,
        id: MethodId::of("Conformance", name),
        label: tool.output_label(),
        tool,
        check_args: |_| Ok(()),
        check_ok: |_| Ok(()),
        check_err: |_| Ok(()),
    }
}

/// What happened in the test services.
#[derive(Debug, Default)]
pub struct Counters {
    /// Calls that began.
    pub begun: AtomicU64,
    /// Calls of [`TestMethod::Hang`] whose future was dropped.
    pub dropped: AtomicU64,
    /// The number whose turn it is.
    pub turn: AtomicU64,
    /// Items that were produced.
    pub produced: AtomicU64,
    /// Streams that were dropped by whoever produces them, at their end or before.
    pub ended: AtomicU64,
    /// Objects that were dropped by whoever hosts them.
    pub released: AtomicU64,
    /// Whether those who take items wait after the first one.
    pub is_held: AtomicBool,
    /// What came beside the last call of [`TestMethod::Look`].
    pub seen: Mutex<Option<Seen>>,
}

/// What a callee is told beside the values.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Ids, deadline, trace, credential, headers.
    pub meta: Metadata,
    /// Whether the call may be made again.
    pub is_idempotent: bool,
    /// Who sent it, where the channel knows.
    pub peer: Option<Peer>,
}

impl Counters {
    /// What came beside the last call of [`TestMethod::Look`].
    pub fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A service with a method for each thing that a channel has to get right.
#[derive(Clone, Debug, Default)]
pub struct TestService {
    counters: Arc<Counters>,
}

impl TestService {
    /// Its contract.
    pub const INTERFACE: InterfaceId = InterfaceId([0xc0; 32]);
    /// What [`TestMethod::Secret`] returns.
    pub const SECRET: &'static str = "the-secret-that-must-not-cross";

    /// What happens in it, from now on.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    async fn run(&self, method: TestMethod, text: String) -> Result<String, String> {
        match method {
            TestMethod::Echo | TestMethod::Relabel | TestMethod::Look => Ok(text),
            TestMethod::Fail => Err(text),
            // Unwinds as a panic does, without the message on the test's output.
            TestMethod::Panic => std::panic::resume_unwind(Box::new("user code panics")),
            TestMethod::Hang => {
                let _dropped = OnDrop(&self.counters.dropped);
                loop {
                    yield_now().await;
                }
            }
            TestMethod::InTurn => {
                let number: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
                while self.counters.turn.load(SeqCst) != number {
                    yield_now().await;
                }
                // The last turn is 0, and nobody waits after it.
                self.counters.turn.store(number.wrapping_sub(1), SeqCst);
                Ok(text)
            }
            TestMethod::Secret => Ok(Self::SECRET.to_owned()),
            TestMethod::Unknown => Err("not hosted".to_owned()),
        }
    }

    async fn dispatch(&self, request: Request<'_>, body: Body<'_>) -> Result<Label, FaultCode> {
        let method = TestMethod::ALL
            .into_iter()
            .find(|method| method.method().id == request.method && *method != TestMethod::Unknown)
            .ok_or(FaultCode::NotFound)?;
        self.counters.begun.fetch_add(1, SeqCst);
        if method == TestMethod::Look {
            let (is_idempotent, peer) = (request.is_idempotent, request.peer.cloned());
            let seen = Seen { meta: request.meta.clone(), is_idempotent, peer };
            *self.counters.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        }
        answer(request.meta, body, |text| async { Ok(self.run(method, text).await) }).await?;
        Ok(match method {
            TestMethod::Relabel => request.label.clone(),
            TestMethod::Secret => Label::default().with_sensitivity(Sensitivity::Secret),
            _ => Label::default(),
        })
    }
}

impl Invoke for TestService {
    fn interface(&self) -> InterfaceId {
        Self::INTERFACE
    }

    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        let trace = request.meta.trace.trace;
        Box::pin(async move { self.dispatch(request, body).await.map_err(|code| Fault::new(code, trace)) })
    }
}

/// What the test services take and give.
pub(super) trait Value: Payload {
    /// Says to which call what stands in it belongs.
    fn attach(&mut self, _: &Metadata, _: FaultCode) {}
}

impl Value for String {}

/// Takes the arguments out of `body` and puts in what `run` makes of them.
pub(super) async fn answer<V: Value, F: Future<Output = Result<Result<V, String>, FaultCode>>>(
    meta: &Metadata,
    body: Body<'_>,
    run: impl FnOnce(V) -> F,
) -> Result<(), FaultCode> {
    match body {
        Body::Typed(typed) => {
            let args = slot::<V>(typed).and_then(Slot::take_args);
            let outcome = run(args.ok_or(FaultCode::Internal)?).await?;
            slot(typed).ok_or(FaultCode::Internal)?.set_outcome(outcome);
        }
        Body::Encoded(body) => {
            let args = body.args.decode(|_| Ok(()));
            let mut args: V = args.map_err(|Malformed| FaultCode::InvalidArgument)?;
            args.attach(meta, FaultCode::InvalidArgument);
            let encoded = match run(args).await? {
                Ok(value) => body.reply.encode(&value),
                Err(error) => {
                    *body.kind = ReplyKind::Err;
                    body.reply.encode(&error)
                }
            };
            encoded.map_err(|Malformed| FaultCode::Internal)?;
        }
    }
    Ok(())
}

/// Out of line: an `Any` is not `Send` and may not live across an await.
fn slot<V: Value>(body: &mut dyn TypedBody) -> Option<&mut Slot<V, V, String>> {
    body.as_any().downcast_mut()
}

/// Counts its end.
struct OnDrop<'a>(&'a AtomicU64);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Lets other tasks of the same executor run, on any executor.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
