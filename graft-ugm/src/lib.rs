//! The Unified Graft Model: an impl block becomes a described interface.
//!
//! It describes; it holds no argument and no result of any call. It opens no connection and reads no
//! file. The only values that pass through are those that a dispatcher hands from its caller to user
//! code and back, and bytes that [`check`] looks at and forgets.
//!
//! ```
//! use graft_ugm::{Described, interface};
//!
//! /// Where letters are kept.
//! pub struct Inbox;
//!
//! #[interface(crate = "graft_ugm")] // with the facade crate, plain `#[interface]`
//! impl Inbox {
//!     /// The subjects of all letters.
//!     #[interface(effect = "read-only", trust = "untrusted", origin = "channel-inbound")]
//!     pub fn subjects(&self) -> Vec<String> {
//!         vec!["hello".to_owned()]
//!     }
//!
//!     /// Sends a letter.
//!     #[interface(exfil = "message", args(to = "destination"), intent("send", "mail"))]
//!     pub async fn send(&self, to: &str, text: &str) -> Result<(), String> {
//!         if to.contains('@') { Ok(()) } else { Err(format!("`{text}` cannot go there")) }
//!     }
//! }
//!
//! let inbox = Inbox::interface();
//! let names: Vec<&str> = inbox.methods().map(|(method, _)| method.name.as_str()).collect();
//! assert_eq!(names, ["send", "subjects"]);
//! assert_eq!(inbox.guard().methods[0].tool.role("to"), graft_core::Role::Destination);
//! // Beside the block there is now `InboxClient`, with the same methods.
//! let _: fn(graft_core::Caller) -> InboxClient = InboxClient::new;
//! ```
//!
//! `MODEL.md` draws the canonical bytes and says how ids come about.

mod check;
mod contract;
mod describe;
mod guard;
mod handle;
mod model;
mod serve;
mod types;
mod value;

pub use check::{ShapeError, check, check_each};
pub use contract::{Contract, ContractError, MethodModel, Param};
pub use describe::{Describe, MapKey, TypeSet};
pub use graft_core::{CallContext, Items};
pub use graft_ugm_macros::Describe;
/// Describes the `pub` methods of an inherent `impl` block.
///
/// The block stays as it is, token for token. Beside it, for `impl Bank`, the attribute adds
/// `impl Described for Bank`, with the [`Interface`] and a dispatcher, and `BankClient` with one async
/// method for each described one. It has the same parameters and returns `Result<Labeled<T>,
/// CallError<E>>`, with [`Infallible`](std::convert::Infallible) for `E` where the method has no error
/// of its own.
///
/// The attributes on methods are the same one, so bring it into scope: `use graft::interface;`.
///
/// # On the block
/// | key | says | unless said |
/// | --- | --- | --- |
/// | `name = ".."` | the interface's name | that of the type |
/// | `version = ".."` | the author's version; not part of the contract | none |
/// | `crate = ".."` | where generated code finds the family | `"graft"` |
///
/// # On a method
/// Each may stand in one attribute or in several. What is not said has the cautious default of
/// [`ToolMetadata`](graft_core::ToolMetadata). The tool's name is `Interface.method`.
///
/// | key | says | words |
/// | --- | --- | --- |
/// | `effect = ".."` | what a call does | `pure`, `read-only`, `side-effecting`, `external-stateful` |
/// | `exfil = ".."` | how arguments reach others | `none`, `message`, `payment`, `share`, `publish`, `url` |
/// | `args(name = "..", ..)` | the role of parameters | `destination`, `target`, `credential`, `command`, `control`, `proof`, `query`, `content` |
/// | `intent("..", ..)` | word stems by which a user asks for it | any |
/// | `trust = ".."` | trust of the result | `trusted`, `structured`, `untrusted` |
/// | `sensitivity = ".."` | sensitivity of the result | `public`, `internal`, `secret` |
/// | `origin = ".."` | where the result comes from | a name such as `channel-inbound` |
/// | `fields(name = "..", ..)` | trust of single fields of the result | as `trust` |
/// | `vouches = true`, `vouches(name = true, ..)` | whether what every field, or one, names may be a destination or target although strangers named it too | `true`, `false` |
/// | `credentials("..", ..)` | fields of the result that hold a credential | any |
/// | `records(field = "..", trust = "..", no_other_writer = "..")` | a rule for whole records; repeatable | `trust` as above |
/// | `resources(arg = "..", pattern = "..", trust = "..", sensitivity = "..")` | labels of the result if an argument names such a path, host or address, see [`ResourcePattern`](graft_core::ResourcePattern); repeatable | as above |
/// | `scope = ".."` | a scope that the caller needs; repeatable | a name |
/// | `tier = ".."` | where the code may run | `none`, `sandboxed`, `isolated`, `docker` |
/// | `idempotent` | a call may be made again if nobody knows how it ended; without effect where an argument is a stream or a handle | |
/// | `skip` | leaves the method out | |
///
/// A described method takes `&self`, and it may be `async`. It takes owned described types, or `&str`, `&[T]`
/// and `&T` of them, and returns a described type, nothing, or `Result<T, E>` of two. Functions without
/// `self` and those that are not `pub` are no part of the interface.
///
/// A parameter, the result, or the `T` of `Result<T, E>` may also be a stream [`Items<T>`](Items) or an object
/// [`Handle<T>`](Handle), written so and not by another name. The client gets a stream as
/// [`LabeledItems<T>`](graft_core::LabeledItems), and a handle as the client of its object, whose calls pass the
/// same guards under at least the label that the method declares for its result. A parameter `&CallContext<'_>`
/// ([`CallContext`]) is the call itself; it is not in the contract, and the client does not ask for it.
///
/// ```
/// use std::sync::Arc;
/// use futures::{StreamExt, TryStreamExt, executor::block_on, stream};
/// use graft_core::{CallContext, Caller, ManualClock, Name, RunId};
/// use graft_ugm::{Handle, Items, interface};
///
/// pub struct Shelf;
///
/// #[interface(crate = "graft_ugm")]
/// impl Shelf {
///     /// Looks for all of them at once.
///     pub fn find(&self, titles: Items<String>) -> Items<u64> {
///         Items::try_new(titles.map(|title| title.map(|title| title.len() as u64)))
///     }
///
///     /// One book.
///     #[interface(effect = "read-only", idempotent)]
///     pub fn book(&self, title: &str, call: &CallContext<'_>) -> Handle<Book> {
///         Handle::new(Arc::new(Book { title: title.to_owned(), asked: call.call().0 }))
///     }
/// }
///
/// pub struct Book { title: String, asked: u64 }
///
/// #[interface(crate = "graft_ugm")]
/// impl Book {
///     pub fn title(&self) -> String {
///         format!("{} ({})", self.title, self.asked)
///     }
/// }
///
/// const SHOW: Name = Name::from_static("show");
/// // As a client over a channel has it, here without one.
/// let shelf = Handle::new(Arc::new(Shelf)).client();
/// # block_on(async {
/// let found = shelf.find(Items::new(stream::iter(["Emma".to_owned(), "Ulysses".to_owned()]))).await?;
/// let found: Vec<u64> = found.map_ok(|length| length.release(SHOW).0).try_collect().await?;
/// assert_eq!(found, [4, 7]);
/// let book = shelf.book("Emma").await?;
/// assert_eq!(book.title().await?.release(SHOW).0, "Emma (1)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # use graft_ugm::{Decimal, Describe, Described, interface};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, Describe)]
/// # #[describe(crate = "graft_ugm")]
/// pub enum Refused {
///     UnknownRecipient,
///     Short { by: Decimal },
/// }
///
/// pub struct Bank;
///
/// # /*
/// #[interface(name = "acme.Bank", version = "1.2")]
/// # */
/// # #[interface(name = "acme.Bank", version = "1.2", crate = "graft_ugm")]
/// impl Bank {
///     /// Sends money at once.
///     #[interface(effect = "external-stateful", exfil = "payment", scope = "bank:pay")]
///     #[interface(args(recipient = "destination", amount = "control", subject = "content"))]
///     #[interface(intent("pay", "send", "transfer"))]
///     pub async fn send_money(
///         &self,
///         recipient: &str,
///         amount: Decimal,
///         subject: &str,
///     ) -> Result<u64, Refused> {
///         Err(Refused::UnknownRecipient)
///     }
///
///     /// What came in and went out: counterparties wrote the subjects, the bank the rest.
///     #[interface(effect = "read-only", sensitivity = "secret", trust = "structured")]
///     #[interface(fields(subject = "untrusted"), records(field = "sender", trust = "trusted"))]
///     pub fn history(&self) -> Vec<(String, String)> {
///         Vec::new()
///     }
/// }
///
/// let (method, guard) = Bank::interface().methods().nth(1).unwrap();
/// assert_eq!(method.params.len(), 3);
/// assert_eq!(guard.tool.name.as_str(), "acme.Bank.send_money");
/// ```
#[doc(alias = "graft")]
pub use graft_ugm_macros::interface;
pub use guard::{Guard, MethodGuard, Tier, TypeDocs};
pub use handle::Handle;
pub use model::{Interface, InterfaceBuilder, MethodBuilder, Model};
pub use serve::Described;
pub use types::{EnumType, Field, Fields, MAX_DEPTH, StructType, Type, TypeId, Types, Variant};
pub use value::{Bytes, Decimal, ParseValueError, Uuid};

/// What generated code names. Not an interface for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::sync::{Arc, OnceLock};

    pub use futures::future::BoxFuture;
    pub use graft_core;
    pub use serde;

    pub use crate as ugm;
    pub use crate::serve::{
        Never, arg_item, attach, call, call_with, infallible, method, no_item, ok_item, open, origin,
        pattern, serve, stream, unknown, visit,
    };
}
