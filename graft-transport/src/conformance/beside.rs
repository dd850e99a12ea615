//! What travels beside the values.

use std::time::Duration;

use graft_core::{CallId, Credential, Label, Metadata, Request, Slot, SpanId};

use super::{Bench, Connect, Seen, TestMethod};

/// The channel says that the other end takes calls.
///
/// # Panics
/// If not.
pub async fn health(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let healthy = bench.within("health is answered", bench.channel.health()).await;
    assert_eq!(healthy, Ok(true));
}

/// Headers reach the callee, whatever the case of their names.
///
/// # Panics
/// If not.
pub async fn headers(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let mut meta = bench.meta(None);
    for (name, value) in [("BaGGage", "tenant=7,user=ann"), ("TraceState", "a=1"), ("X-Empty", "")] {
        meta.headers.set(name, value).expect("fits");
    }
    let seen = bench.look(&meta, false).await.meta.headers;
    assert_eq!(seen.find("bAGGAGE"), Some("tenant=7,user=ann"));
    assert_eq!(seen.iter().collect::<Vec<_>>(), meta.headers.iter().collect::<Vec<_>>());
}

/// Ids, trace, credential and the mark of an idempotent call reach the callee.
///
/// # Panics
/// If not.
pub async fn what_is_beside(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let mut meta = bench.meta(None);
    (meta.call, meta.parent) = (CallId(u64::MAX), Some(CallId(3)));
    (meta.trace.span, meta.trace.flags) = (SpanId([5; 8]), 1);
    meta.credential = Some(Credential::new(*b"opaque \0 bytes"));
    for is_idempotent in [true, false] {
        let seen = bench.look(&meta, is_idempotent).await;
        assert_eq!(seen.is_idempotent, is_idempotent, "the mark of an idempotent call changed on its way");
        let ids = |meta: &Metadata| (meta.run, meta.call, meta.parent, meta.trace);
        assert_eq!(ids(&seen.meta), ids(&meta));
        assert!(seen.meta.credential == meta.credential, "a credential changed on its way");
        assert_eq!(seen.meta.deadline, None);
    }
}

/// The callee sees how long its caller still waits.
///
/// # Panics
/// If not.
pub async fn remaining_time(connect: &impl Connect) {
    const MINUTE: Duration = Duration::from_secs(60);
    let bench = Bench::new(connect).await;
    let seen = bench.look(&bench.meta(Some(MINUTE)), false).await.meta;
    let left = seen.deadline.expect("a deadline travels").remaining(&*bench.clock).expect("it is not over");
    assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?} of a minute are left");
}

impl Bench {
    /// What the callee saw beside the values of a call.
    async fn look(&self, meta: &Metadata, is_idempotent: bool) -> Seen {
        let (method, label) = (TestMethod::Look.method(), Label::default());
        let mut slot = Slot::<String, String, String>::new(method, String::new());
        let request = Request { is_idempotent, ..Request::new(self.interface, method.id, meta, &label) };
        let called = self.within("every call ends", self.channel.call(request, &mut slot)).await;
        called.expect("the call succeeds");
        self.counters.seen().expect("the callee was called")
    }
}
