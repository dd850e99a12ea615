//! Objects as arguments and results.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use graft_core::port::{Export, Import, export, import};
use graft_core::{
    Caller, Channel, FaultCode, Hosted, Invoke, Leaf, Leaves, ManualClock, Metadata, Path, Port, RunId,
    ShapeCheck, TraceContext, Visit, Watch,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::Described;

/// An object of the described type `T`: as a result an instance with methods, as an argument a callback.
///
/// The object stays where it was made; a handle that crossed a wire calls it there. It lives as long as
/// somebody holds a handle and the channel is there; then calls end in
/// [`FaultCode::HandleGone`]. A method that returns one gives its caller the client at once, through the
/// same guards; one that takes one calls [`Handle::client`] or [`Handle::over`].
///
/// ```
/// use std::sync::Arc;
/// use futures::executor::block_on;
/// use graft_ugm::{Handle, interface};
///
/// /// A number that goes up.
/// #[derive(Default)]
/// pub struct Counter(std::sync::atomic::AtomicU64);
///
/// #[interface(crate = "graft_ugm")]
/// impl Counter {
///     pub fn add(&self, n: u64) -> u64 {
///         self.0.fetch_add(n, std::sync::atomic::Ordering::Relaxed) + n
///     }
/// }
///
/// let counter = Handle::new(Arc::new(Counter::default())).client();
/// block_on(counter.add(2))?;
/// assert_eq!(block_on(counter.add(3))?.map(|sum| sum == 5).release(WHY).0, true);
/// # const WHY: graft_core::Name = graft_core::Name::from_static("example");
/// # Ok::<(), graft_core::CallError<std::convert::Infallible>>(())
/// ```
pub struct Handle<T> {
    object: Object,
    /// The call that it came with.
    from: Option<(RunId, TraceContext)>,
    of: PhantomData<fn() -> T>,
}

#[derive(Clone)]
enum Object {
    Here(Arc<dyn Invoke>),
    Elsewhere(Arc<dyn Channel>),
}

impl<T: Described> Handle<T> {
    /// A handle of an object of this process.
    pub fn new(object: Arc<T>) -> Self {
        Self::of(Object::Here(object.dispatcher()))
    }

    /// A client of the object whose calls have no guards and no deadline, and belong to the run and trace of the
    /// call that the handle came with.
    pub fn client(&self) -> T::Client {
        let (run, trace) = self.from.unwrap_or((RunId([0; 16]), TraceContext::default()));
        // Without a timeout nobody asks what time it is.
        let caller = Caller::new(self.channel(), Arc::new(ManualClock::default()), run);
        caller.with_trace(trace).into()
    }

    /// A client of the object whose calls are made as `caller` makes its own: the same run and numbering, guards,
    /// timeout and credential.
    pub fn over(&self, caller: &Caller) -> T::Client {
        let channel: Arc<dyn Channel> = match &self.object {
            Object::Here(object) => Arc::new(Hosted::new(object.clone()).with_clock(caller.clock().clone())),
            Object::Elsewhere(channel) => channel.clone(),
        };
        caller.over(channel).into()
    }
}

impl<T> Handle<T> {
    fn of(object: Object) -> Self {
        Self { object, from: None, of: PhantomData }
    }

    /// The channel whose calls go to the object.
    pub fn channel(&self) -> Arc<dyn Channel> {
        match &self.object {
            Object::Here(object) => Arc::new(Hosted::new(object.clone())),
            Object::Elsewhere(channel) => channel.clone(),
        }
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), from: self.from, of: PhantomData }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// An object has no text.
impl<T> Leaves for Handle<T> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Empty);
    }
}

/// Works in a call only, and only for an object of this process: one that came over a wire is not passed on.
impl<T> Serialize for Handle<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Object::Here(object) = &self.object else {
            return Err(ser::Error::custom("a handle that came over a wire cannot be passed on"));
        };
        let position = export(Export::Object(object.clone()));
        serializer.serialize_u32(position.map_err(|_| ser::Error::custom("a handle travels in a call only"))?)
    }
}

/// Takes up the object that came in beside the value. That it is a `T` shows at its first call, which carries the
/// contract's id.
impl<'de, T> Deserialize<'de> for Handle<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match import(u32::deserialize(deserializer)?) {
            Some(Import::Object(channel)) => Ok(Self::of(Object::Elsewhere(channel))),
            _ => Err(de::Error::custom("there is no such object")),
        }
    }
}

impl<T> Port for Handle<T> {
    fn attach(&mut self, meta: &Metadata, _: ShapeCheck, _: FaultCode) {
        self.from = Some((meta.run, meta.trace));
    }

    fn watch(&mut self, _: &'static str, watch: &Arc<dyn Watch>) {
        if let Object::Here(object) = &self.object {
            self.object = Object::Here(watch.clone().object(object.clone()));
        }
    }
}
