//! The service that the suite calls, written by hand: no macro, no model.

use std::future::poll_fn;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, LazyLock};
use std::task::Poll;

use futures::future::BoxFuture;
use graft_core::{
    Body, Fault, FaultCode, InterfaceId, Invoke, Label, Malformed, Method, MethodId, Name, ReplyKind,
    Request, Sensitivity, Slot, ToolMetadata, TypedBody,
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
    /// The service does not have it.
    Unknown,
}

impl TestMethod {
    /// Every method.
    pub const ALL: [Self; 8] = [
        Self::Echo,
        Self::Relabel,
        Self::Fail,
        Self::Panic,
        Self::Hang,
        Self::InTurn,
        Self::Secret,
        Self::Unknown,
    ];

    /// What both ends know of it.
    pub fn method(self) -> &'static Method {
        static METHODS: LazyLock<[Method; 8]> = LazyLock::new(|| TestMethod::ALL.map(describe));
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
            Self::Unknown => "unknown",
        }
    }
}

fn describe(method: TestMethod) -> Method {
    let tool = ToolMetadata::new(Name::from_static(method.name()));
    Method {
        interface: TestService::INTERFACE,
        id: MethodId::of("Conformance", method.name()),
        label: tool.output_label(),
        tool,
        check_args: |_| Ok(()),
        check_ok: |_| Ok(()),
        check_err: |_| Ok(()),
    }
}

/// What happened in a [`TestService`].
#[derive(Debug, Default)]
pub struct Counters {
    /// Calls that began.
    pub begun: AtomicU64,
    /// Calls of [`TestMethod::Hang`] whose future was dropped.
    pub dropped: AtomicU64,
    /// The number whose turn it is.
    pub turn: AtomicU64,
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
            TestMethod::Echo | TestMethod::Relabel => Ok(text),
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
        match body {
            Body::Typed(typed) => {
                let slot = slot(typed).ok_or(FaultCode::Internal)?;
                let text = slot.take_args().ok_or(FaultCode::Internal)?;
                slot.set_outcome(self.run(method, text).await);
            }
            Body::Encoded(body) => {
                let text = body.args.decode(method.method().check_args);
                let text = text.map_err(|Malformed| FaultCode::InvalidArgument)?;
                let (kind, text) = match self.run(method, text).await {
                    Ok(value) => (ReplyKind::Ok, value),
                    Err(error) => (ReplyKind::Err, error),
                };
                *body.kind = kind;
                body.reply.encode(&text).map_err(|Malformed| FaultCode::Internal)?;
            }
        }
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

/// Out of line: an `Any` is not `Send` and may not live across an await.
fn slot(body: &mut dyn TypedBody) -> Option<&mut Slot<String, String, String>> {
    body.as_any().downcast_mut()
}

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
