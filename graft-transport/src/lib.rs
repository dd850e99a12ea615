//! Carries calls between a caller and whoever hosts the interface: inside one process, or over TCP, Unix sockets,
//! WebSocket and TLS.
//!
//! It refuses to judge. There is no policy here and no type of the application: a channel checks that a
//! label may cross it at all, keeps its limits and deadlines, and carries credentials without reading them.
//! TLS encrypts and checks the chain that the host configured, and whom a certificate names is for others to judge.
//! So a channel that leaves the process carries no secret unless the host raised it by
//! `RemoteOptions::danger_raise_clearance`, which leaves a record.
//!
//! - [`LocalChannel`]: the method runs in the caller's task, on the caller's values. No runtime is needed.
//! - `Server` and `RemoteChannel`, behind the default feature `tcp`: calls, streams and objects over one
//!   connection, on tokio, wherever an [`Endpoint`] says; `net` has the streams of bytes below them.
//! - `ReconnectingChannel` and `RetryingChannel`: what to do when a connection is lost.
//! - [`Limits`]: what a peer may make this side hold.
//! - [`session`] and [`wire`]: the protocol without sockets, for a transport of one's own; `WIRE.md` is
//!   its document.
//! - `conformance`, behind the feature of that name: what every channel has to do, as functions to run.
//!
//! | feature | brings |
//! | --- | --- |
//! | `tcp`, `unix` | TCP and Unix sockets; both are in the default |
//! | `websocket` | WebSocket |
//! | `tls-ring`, `tls-aws-lc` | TLS, over TCP and under WebSocket; with both it is ring. Both compile C |
//!
//! ```
//! use std::sync::{Arc, LazyLock};
//! use futures::{executor::block_on, future::BoxFuture};
//! use graft_core::{
//!     Body, Caller, Fault, FaultCode, InterfaceId, Invoke, Label, ManualClock, Method, MethodId, Name,
//!     Request, Router, RunId, Slot, ToolMetadata,
//! };
//! use graft_transport::LocalChannel;
//!
//! // The interface macro writes both of these; by hand they are a description and a dispatcher.
//! static LENGTH: LazyLock<Method> = LazyLock::new(|| {
//!     let tool = ToolMetadata::new(Name::from_static("Text.length"));
//!     Method {
//!         interface: InterfaceId([1; 32]),
//!         id: MethodId::of("Text", "length"),
//!         label: tool.output_label(),
//!         tool,
//!         check_args: |_| Ok(()),
//!         check_ok: |_| Ok(()),
//!         check_err: |_| Ok(()),
//!     }
//! });
//! struct Text;
//! impl Invoke for Text {
//!     fn interface(&self) -> InterfaceId { LENGTH.interface }
//!     fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
//!         Box::pin(async move {
//!             let Body::Typed(body) = body else {
//!                 return Err(Fault::new(FaultCode::NotFound, request.meta.trace.trace));
//!             };
//!             let slot: &mut Slot<String, u64, ()> = body.as_any().downcast_mut().expect("built together");
//!             let text = slot.take_args().expect("taken once");
//!             slot.set_outcome(Ok(text.len() as u64));
//!             Ok(Label::default())
//!         })
//!     }
//! }
//!
//! let clock = Arc::new(ManualClock::default());
//! let channel = LocalChannel::new(Router::default().with(Arc::new(Text)), clock.clone());
//! let caller = Caller::new(Arc::new(channel), clock, RunId([7; 16]));
//! let length = block_on(caller.call::<_, u64, ()>(&LENGTH, "hello".to_owned()))?;
//! assert_eq!(length.release(Name::from_static("example")).0, 5);
//! # Ok::<(), graft_core::CallError<()>>(())
//! ```

mod backoff;
mod close;
#[cfg(feature = "conformance")]
pub mod conformance;
mod endpoint;
mod limits;
mod local;
#[cfg(feature = "tcp")]
pub mod net;
#[cfg(feature = "tcp")]
mod remote;
pub mod session;
pub mod wire;

pub use backoff::{Backoff, Retry};
pub use close::{CloseReason, Closed, ClosedBy};
pub use endpoint::{
    Endpoint, EndpointError, HostPort, MAX_ENDPOINT, MAX_SOCKET_PATH, SocketPath, WebAddress,
};
pub use limits::{LimitEntry, LimitError, LimitValue, Limits};
pub use local::LocalChannel;
#[cfg(feature = "tcp")]
pub use remote::{
    BindOptions, ConnectError, DialOptions, Dispatch, ReconnectingChannel, RemoteChannel, RemoteOptions,
    RetryingChannel, Server,
};
