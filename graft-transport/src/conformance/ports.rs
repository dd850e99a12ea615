//! The service whose values are streams and objects, written by hand like the other one.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use graft_core::port::{Export, Import, export, import};
use graft_core::{
    Body, Channel, Fault, FaultCode, Hosted, InterfaceId, Invoke, Label, Leaf, Leaves, Metadata, Method,
    Path, Request, Slot, TraceId, Visit,
};
use graft_core::{Items, Port};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::service::{Counters, Value, answer, describe, yield_now};

/// The methods of [`TestPorts`]: each takes a [`TestValue`] and returns one or fails with a `String`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortMethod {
    /// Takes two numbers in a text: how many items to produce, and how long each is at least. They count up from 0.
    Count,
    /// Takes items and returns how many there were; stands still after the first while [`Counters::is_held`].
    Sum,
    /// Takes items and produces each of them twice as long.
    Double,
    /// Takes items, returns the first and drops the rest.
    Taste,
    /// Produces two items and then the fault [`FaultCode::NotFound`].
    Break,
    /// Produces two items and then panics.
    PanicAfter,
    /// Returns a [`TestObject`] that goes by the text it takes.
    Open,
    /// Takes an object, calls it, and returns what it says.
    CallBack,
    /// Takes an object and keeps it.
    Keep,
    /// Calls the object that it kept, and returns what it says.
    Ring,
    /// Drops the object that it kept.
    Forget,
    /// What a [`TestObject`] has: returns its name and the text that it takes.
    Say,
    /// What a [`TestObject`] has: panics.
    Panic,
}

impl PortMethod {
    /// Every method.
    pub const ALL: [Self; 13] = [
        Self::Count,
        Self::Sum,
        Self::Double,
        Self::Taste,
        Self::Break,
        Self::PanicAfter,
        Self::Open,
        Self::CallBack,
        Self::Keep,
        Self::Ring,
        Self::Forget,
        Self::Say,
        Self::Panic,
    ];

    /// What both ends know of it.
    pub fn method(self) -> &'static Method {
        static METHODS: LazyLock<[Method; 13]> = LazyLock::new(|| {
            PortMethod::ALL.map(|method| match method {
                PortMethod::Say => describe(TestObject::INTERFACE, "say"),
                PortMethod::Panic => describe(TestObject::INTERFACE, "panic"),
                method => describe(TestPorts::INTERFACE, method.name()),
            })
        });
        &METHODS[self as usize]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Double => "double",
            Self::Taste => "taste",
            Self::Break => "break",
            Self::PanicAfter => "panic_after",
            Self::Open => "open",
            Self::CallBack => "call_back",
            Self::Keep => "keep",
            Self::Ring => "ring",
            Self::Forget => "forget",
            Self::Say => "say",
            Self::Panic => "panic",
        }
    }

    fn of(request: &Request<'_>) -> Result<Self, FaultCode> {
        let called = |method: &Self| {
            let method = method.method();
            (method.interface, method.id) == (request.interface, request.method)
        };
        Self::ALL.into_iter().find(called).ok_or(FaultCode::NotFound)
    }
}

/// A text, a stream of texts or an object.
#[derive(Debug, Serialize, Deserialize)]
pub enum TestValue {
    /// A text.
    Text(String),
    /// A stream of texts.
    Items(Items<String>),
    /// An object.
    Object(TestHandle),
}

impl Leaves for TestValue {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        match self {
            Self::Text(text) => text.visit(path, visit),
            Self::Items(_) | Self::Object(_) => visit(path, Leaf::Empty),
        }
    }
}

impl Value for TestValue {
    fn attach(&mut self, meta: &Metadata, malformed: FaultCode) {
        if let Self::Items(items) = self {
            items.attach(meta, |_| Ok(()), malformed);
        }
    }
}

/// An object here or at the other end.
pub struct TestHandle(Place);

enum Place {
    Here(Arc<dyn Invoke>),
    There(Arc<dyn Channel>),
}

impl TestHandle {
    /// That of an object here.
    pub fn new(object: Arc<dyn Invoke>) -> Self {
        Self(Place::Here(object))
    }

    /// The channel whose calls go to it.
    pub fn channel(&self) -> Arc<dyn Channel> {
        match &self.0 {
            Place::Here(object) => Arc::new(Hosted::new(object.clone())),
            Place::There(channel) => channel.clone(),
        }
    }
}

impl std::fmt::Debug for TestHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestHandle(..)")
    }
}

impl Serialize for TestHandle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Place::Here(object) = &self.0 else { return Err(ser::Error::custom("it is not here")) };
        let position = export(Export::Object(object.clone()));
        serializer.serialize_u32(position.map_err(|_| ser::Error::custom("not in a call"))?)
    }
}

impl<'de> Deserialize<'de> for TestHandle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match import(u32::deserialize(deserializer)?) {
            Some(Import::Object(channel)) => Ok(Self(Place::There(channel))),
            _ => Err(de::Error::custom("there is no such object")),
        }
    }
}

/// A service with a method for each shape of streams and objects.
#[derive(Debug, Default)]
pub struct TestPorts {
    counters: Arc<Counters>,
    kept: Mutex<Option<TestHandle>>,
}

impl TestPorts {
    /// Its contract.
    pub const INTERFACE: InterfaceId = InterfaceId([0xc1; 32]);

    /// One that counts in `counters`.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters, kept: Mutex::default() }
    }

    async fn run(
        &self,
        method: PortMethod,
        value: TestValue,
        meta: &Metadata,
    ) -> Result<Result<TestValue, String>, FaultCode> {
        let trace = meta.trace.trace;
        Ok(Ok(match (method, value) {
            (PortMethod::Count, TestValue::Text(text)) => {
                let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
                let (count, width) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                TestValue::Items(counted(&self.counters, count, width as usize))
            }
            (PortMethod::Sum, TestValue::Items(mut items)) => {
                let mut count = 0;
                while let Some(item) = items.next().await {
                    item.map_err(|fault| fault.code())?;
                    count += 1;
                    while self.counters.is_held.load(SeqCst) {
                        yield_now().await;
                    }
                }
                TestValue::Text(count.to_string())
            }
            (PortMethod::Double, TestValue::Items(items)) => {
                TestValue::Items(Items::try_new(items.map(|item| item.map(|text| text.repeat(2)))))
            }
            (PortMethod::Taste, TestValue::Items(mut items)) => {
                let first = items.next().await.ok_or(FaultCode::InvalidArgument)?;
                TestValue::Text(first.map_err(|fault| fault.code())?)
            }
            (PortMethod::Break, _) => {
                let end = stream::once(async move { Err(Fault::new(FaultCode::NotFound, trace)) });
                TestValue::Items(Items::try_new(counted(&self.counters, 2, 0).chain(end)))
            }
            (PortMethod::PanicAfter, _) => {
                // Unwinds as a panic does, without the message on the test's output.
                let end = stream::once(async { std::panic::resume_unwind(Box::new("user code panics")) });
                TestValue::Items(Items::try_new(counted(&self.counters, 2, 0).chain(end)))
            }
            (PortMethod::Open, TestValue::Text(name)) => {
                TestValue::Object(TestHandle::new(Arc::new(TestObject::new(name, self.counters.clone()))))
            }
            (PortMethod::CallBack, TestValue::Object(object)) => return ring(&object, meta).await.map(Ok),
            (PortMethod::Keep, TestValue::Object(object)) => {
                *self.kept() = Some(object);
                TestValue::Text(String::new())
            }
            (PortMethod::Ring, _) => {
                let object = self.kept().take().ok_or(FaultCode::NotFound)?;
                let said = ring(&object, meta).await;
                *self.kept() = Some(object);
                return said.map(Ok);
            }
            (PortMethod::Forget, _) => {
                self.kept().take();
                TestValue::Text(String::new())
            }
            _ => return Err(FaultCode::InvalidArgument),
        }))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<TestHandle>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Invoke for TestPorts {
    fn interface(&self) -> InterfaceId {
        Self::INTERFACE
    }

    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(async move {
            let meta = request.meta;
            let answered = async {
                let method = PortMethod::of(&request)?;
                answer(meta, body, |value| self.run(method, value, meta)).await
            };
            answered.await.map_err(|code| Fault::new(code, meta.trace.trace))?;
            Ok(Label::default())
        })
    }
}

/// An object with methods of its own.
#[derive(Debug)]
pub struct TestObject {
    name: String,
    counters: Arc<Counters>,
}

impl TestObject {
    /// Its contract.
    pub const INTERFACE: InterfaceId = InterfaceId([0xc2; 32]);

    /// One that goes by `name` and counts its end.
    pub fn new(name: String, counters: Arc<Counters>) -> Self {
        Self { name, counters }
    }

    async fn run(
        &self,
        method: PortMethod,
        value: TestValue,
    ) -> Result<Result<TestValue, String>, FaultCode> {
        match (method, value) {
            (PortMethod::Say, TestValue::Text(text)) => {
                Ok(Ok(TestValue::Text(format!("{}: {text}", self.name))))
            }
            (PortMethod::Panic, _) => std::panic::resume_unwind(Box::new("user code panics")),
            _ => Err(FaultCode::InvalidArgument),
        }
    }
}

impl Drop for TestObject {
    fn drop(&mut self) {
        self.counters.released.fetch_add(1, SeqCst);
    }
}

impl Invoke for TestObject {
    fn interface(&self) -> InterfaceId {
        Self::INTERFACE
    }

    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(async move {
            let meta = request.meta;
            let answered = async {
                let method = PortMethod::of(&request)?;
                answer(meta, body, |value| self.run(method, value)).await
            };
            answered.await.map_err(|code| Fault::new(code, meta.trace.trace))?;
            Ok(Label::default())
        })
    }
}

/// Calls `object`, whose text it returns.
async fn ring(object: &TestHandle, meta: &Metadata) -> Result<TestValue, FaultCode> {
    let text = TestValue::Text("ring".to_owned());
    let called = call(&*object.channel(), PortMethod::Say.method(), text, meta).await;
    called.map_err(|fault| fault.code())?.map_err(|_| FaultCode::InvalidReply)
}

/// Calls `method` of whatever is behind `channel`.
pub(super) async fn call(
    channel: &dyn Channel,
    method: &'static Method,
    value: TestValue,
    meta: &Metadata,
) -> Result<Result<TestValue, String>, Fault> {
    let label = Label::default();
    let mut slot = Slot::<TestValue, TestValue, String>::new(method, value);
    channel.call(method.request(meta, &label), &mut slot).await?;
    let mut outcome = slot.into_outcome().ok_or(Fault::new(FaultCode::InvalidReply, TraceId([0; 16])))?;
    if let Ok(value) = &mut outcome {
        value.attach(meta, FaultCode::InvalidReply);
    }
    Ok(outcome)
}

/// So many numbers from 0 on, each a text of at least `width` characters.
pub(super) fn counted(counters: &Arc<Counters>, count: u64, width: usize) -> Items<String> {
    let counting = Counting(counters.clone());
    Items::new(stream::iter(0..count).map(move |n| {
        counting.0.produced.fetch_add(1, SeqCst);
        item(n, width)
    }))
}

pub(super) fn item(n: u64, width: usize) -> String {
    format!("{n:0width$}")
}

/// A stream that is there.
struct Counting(Arc<Counters>);

impl Drop for Counting {
    fn drop(&mut self) {
        let ended: &AtomicU64 = &self.0.ended;
        ended.fetch_add(1, SeqCst);
    }
}
