//! The values of a call in encoded form, and the live things that stand in them.
//!
//! A *port* is what cannot be bytes: a stream of items, or an object of a described interface. While a value
//! is encoded its ports are collected in order and the bytes hold their positions; while it is decoded they
//! are taken up again. Nothing here knows how a port travels.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Channel, FaultCode, Hosted, Invoke, Malformed, ShapeCheck};

/// Encoded items of a stream, in order. After an error nothing comes.
pub type ItemStream = BoxStream<'static, Result<Bytes, FaultCode>>;

/// From this size on bytes that are shared already are handed over and not copied.
const SHARED: usize = 16 << 10;

/// A port on its way out.
pub enum Export {
    /// Items that this side produces.
    Items(ItemStream),
    /// An object that this side hosts.
    Object(Arc<dyn Invoke>),
}

/// A port that came in.
pub enum Import {
    /// Items that the other side produces.
    Items(ItemStream),
    /// An object that the other side hosts: a channel whose calls go to it.
    Object(Arc<dyn Channel>),
}

/// A port that does not leave the process: what one end exports is what the other imports.
impl From<Export> for Import {
    fn from(port: Export) -> Self {
        match port {
            Export::Items(items) => Self::Items(items),
            Export::Object(object) => Self::Object(Arc::new(Hosted::new(object))),
        }
    }
}

/// An encoded value that leaves: bytes, and the ports that stand in it. `Debug` shows how much it is.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    /// Shared bytes, each with the position in `bytes` in front of which it stands.
    large: Vec<(usize, Bytes)>,
    /// The ports; what is encoded refers to them by position.
    pub ports: Vec<Export>,
}

impl Outgoing {
    /// Appends `value` in postcard's encoding.
    ///
    /// # Errors
    /// [`Malformed`] if serde refuses the value; what was there before stays.
    pub fn encode<T: Serialize>(&mut self, value: &T) -> Result<(), Malformed> {
        let (bytes, large) = (self.bytes.len(), self.large.len());
        let before = self.ports.len();
        let scope = Scope::enter(&ENCODING, |work| (work.is_on, work.before) = (true, before));
        let written = postcard::serialize_with_flavor(value, Pieces(self));
        let ports = scope.last(|work| std::mem::take(&mut work.ports));
        if written.is_err() {
            self.bytes.truncate(bytes);
            self.large.truncate(large);
            return Err(Malformed);
        }
        self.ports.extend(ports);
        Ok(())
    }

    /// How many bytes it is, ports not counted.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.large.iter().map(|(_, shared)| shared.len()).sum::<usize>()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.large.clear();
        self.ports.clear();
    }

    /// The bytes, if none of them are shared.
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.large.is_empty().then_some(&self.bytes)
    }

    /// The bytes in the order in which they go out, each piece with whether it is shared.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let ends = self.large.iter().map(|(at, _)| *at).chain([self.bytes.len()]);
        let shared = self.large.iter().map(|(_, shared)| Some(Piece::Shared(shared))).chain([None]);
        let mut from = 0;
        ends.zip(shared).flat_map(move |(end, shared)| {
            let own = Piece::Own(&self.bytes[std::mem::replace(&mut from, end)..end]);
            [Some(own), shared].into_iter().flatten()
        })
    }

    /// Takes the bytes, none of which are shared.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// All bytes in one piece, copied only if some are shared.
    pub fn into_bytes(self) -> Bytes {
        if self.large.is_empty() { self.bytes.into() } else { self.to_bytes() }
    }

    /// All bytes in one piece.
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.len());
        for piece in self.pieces() {
            whole.extend_from_slice(piece.as_slice());
        }
        whole.into()
    }
}

/// A part of an [`Outgoing`].
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    /// Bytes to be copied.
    Own(&'a [u8]),
    /// Bytes that can be shared.
    Shared(&'a Bytes),
}

impl<'a> Piece<'a> {
    /// The bytes.
    pub fn as_slice(self) -> &'a [u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes, {} ports)", self.len(), self.ports.len())
    }
}

/// An encoded value that came in. `Debug` shows how much it is.
#[derive(Default)]
pub struct Incoming {
    /// The bytes.
    pub bytes: Bytes,
    /// The ports that they refer to by position.
    pub ports: Vec<Import>,
}

impl Incoming {
    /// A value without ports.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, ports: Vec::new() }
    }

    /// What `value` is to the other end while both are in this process.
    pub fn of(mut value: Outgoing) -> Self {
        let ports = std::mem::take(&mut value.ports).into_iter().map(Import::from).collect();
        Self { ports, bytes: value.into_bytes() }
    }

    /// Checks the bytes against the described shape, then decodes them, then insists that nothing is left.
    /// Ports that the value does not take up are dropped, which closes them.
    ///
    /// # Errors
    /// [`Malformed`] at whichever step fails.
    pub fn decode<T: DeserializeOwned>(self, check: ShapeCheck) -> Result<T, Malformed> {
        check(&self.bytes)?;
        // Only what has something to take up, or could take what is around it, needs a scope.
        let is_plain = self.ports.is_empty() && self.bytes.len() < SHARED;
        let scope = (!is_plain || DECODING.with_borrow(|work| work.is_on)).then(|| {
            let ports = self.ports.into_iter().map(Some).collect();
            let whole = self.bytes.clone();
            Scope::enter(&DECODING, |work| *work = Decoding { is_on: true, whole, ports })
        });
        let decoded = postcard::take_from_bytes(&self.bytes);
        drop(scope);
        let (value, rest) = decoded.map_err(|_| Malformed)?;
        if rest.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({} bytes, {} ports)", self.bytes.len(), self.ports.len())
    }
}

/// Puts a port into the value that is being encoded; its position is what stands in the bytes. For
/// `Serialize` of a type that is a port.
///
/// Gives the port back where nothing is encoded by [`Outgoing::encode`]: elsewhere a port has no meaning.
///
/// # Errors
/// The port.
pub fn export(port: Export) -> Result<u32, Export> {
    ENCODING.with_borrow_mut(|work| match u32::try_from(work.before + work.ports.len()) {
        Ok(position) if work.is_on => {
            work.ports.push(port);
            Ok(position)
        }
        _ => Err(port),
    })
}

/// Takes the port at `position` out of the value that is being decoded by [`Incoming::decode`]. For
/// `Deserialize` of a type that is a port. Each port is there once.
pub fn import(position: u32) -> Option<Import> {
    DECODING.with_borrow_mut(|work| work.ports.get_mut(position as usize)?.take())
}

/// Says that the byte string which is encoded next is this one, so that it can be shared and not copied.
pub fn share(bytes: &Bytes) {
    if bytes.len() >= SHARED {
        ENCODING.with_borrow_mut(|work| work.shared = work.is_on.then(|| bytes.clone()));
    }
}

/// The same bytes as `part`, shared with the value that is being decoded if they stand in it and are many;
/// else a copy.
pub fn shared(part: &[u8]) -> Bytes {
    let shared = || {
        DECODING.with_borrow(|work| {
            let whole = &work.whole;
            let from = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
            (from + part.len() <= whole.len()).then(|| whole.slice(from..from + part.len()))
        })
    };
    let shared = if part.len() >= SHARED { shared() } else { None };
    shared.unwrap_or_else(|| Bytes::copy_from_slice(part))
}

#[derive(Default)]
struct Encoding {
    is_on: bool,
    /// Ports of the same [`Outgoing`] before this value.
    before: usize,
    ports: Vec<Export>,
    shared: Option<Bytes>,
}

#[derive(Default)]
struct Decoding {
    is_on: bool,
    whole: Bytes,
    ports: Vec<Option<Import>>,
}

trait Work: Default + 'static {
    fn is_on(&self) -> bool;
}

impl Work for Encoding {
    fn is_on(&self) -> bool {
        self.is_on
    }
}

impl Work for Decoding {
    fn is_on(&self) -> bool {
        self.is_on
    }
}

thread_local! {
    static ENCODING: RefCell<Encoding> = const {
        RefCell::new(Encoding { is_on: false, before: 0, ports: Vec::new(), shared: None })
    };
    static DECODING: RefCell<Decoding> = const {
        RefCell::new(Decoding { is_on: false, whole: Bytes::new(), ports: Vec::new() })
    };
}

type Place<T> = &'static std::thread::LocalKey<RefCell<T>>;

/// What is encoded or decoded on this thread; what was around it comes back at the end, also of a panic.
struct Scope<T: Work> {
    place: Place<T>,
    outer: Option<Box<T>>,
}

impl<T: Work> Scope<T> {
    fn enter(place: Place<T>, begin: impl FnOnce(&mut T)) -> Self {
        let outer = place.with_borrow_mut(|work| {
            let outer = work.is_on().then(|| Box::new(std::mem::take(work)));
            begin(work);
            outer
        });
        Self { place, outer }
    }

    /// Does something with the work that is done.
    fn last<R>(self, end: impl FnOnce(&mut T) -> R) -> R {
        self.place.with_borrow_mut(end)
    }
}

impl<T: Work> Drop for Scope<T> {
    fn drop(&mut self) {
        let outer = self.outer.take().map(|outer| *outer).unwrap_or_default();
        // What is dropped may be user code's, so it is out of the place by then.
        drop(self.place.replace(outer));
    }
}

/// Writes what is shared beside the rest.
struct Pieces<'a>(&'a mut Outgoing);

impl postcard::ser_flavors::Flavor for Pieces<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.bytes.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        match (bytes.len() >= SHARED).then(|| take_shared(bytes)).flatten() {
            Some(shared) => self.0.large.push((self.0.bytes.len(), shared)),
            None => self.0.bytes.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// What was said to be shared, if it is these very bytes.
fn take_shared(bytes: &[u8]) -> Option<Bytes> {
    let shared = ENCODING.with_borrow_mut(|work| work.shared.take())?;
    (shared.as_ptr() == bytes.as_ptr() && shared.len() == bytes.len()).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};

    struct Port;

    impl Serialize for Port {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let position = export(Export::Items(stream::empty().boxed()));
            let position = position.map_err(|_| serde::ser::Error::custom("not in a call"))?;
            serializer.serialize_u32(position)
        }
    }

    struct Blob(Bytes);

    impl Serialize for Blob {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            share(&self.0);
            serializer.serialize_bytes(&self.0)
        }
    }

    #[test]
    fn ports_are_numbered_through_all_values_and_leave_nothing_behind() {
        let mut out = Outgoing::default();
        out.encode(&(7_u8, Port, Port)).expect("encodes");
        out.encode(&Port).expect("encodes");
        assert_eq!((out.to_bytes().as_ref(), out.ports.len()), (&[7, 0, 1, 2][..], 3));
        assert!(postcard::to_stdvec(&Port).is_err(), "a port outside of a call has no meaning");
        assert!(export(Export::Items(stream::empty().boxed())).is_err());
    }

    #[test]
    fn a_value_that_fails_leaves_what_was_there() {
        struct Fails;
        impl Serialize for Fails {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        let mut out = Outgoing::default();
        out.encode(&1_u8).expect("encodes");
        assert_eq!(out.encode(&(2_u8, Port, Blob(vec![3; SHARED].into()), Fails)), Err(Malformed));
        assert_eq!((out.to_bytes().as_ref(), out.ports.len()), (&[1][..], 0));
    }

    #[test]
    fn large_bytes_are_shared_both_ways_and_small_ones_are_not() {
        let blob = Bytes::from(vec![9; SHARED]);
        let mut out = Outgoing::default();
        out.encode(&(1_u8, Blob(blob.clone()), 2_u8, Blob(Bytes::from_static(b"ab")))).expect("encodes");
        let shared: Vec<_> = out.pieces().filter(|piece| matches!(piece, Piece::Shared(_))).collect();
        assert_eq!(shared.len(), 1);
        assert_eq!(shared[0].as_slice().as_ptr(), blob.as_ptr());
        assert_eq!(out.as_slice(), None);
        let plain = postcard::to_stdvec(&(1_u8, vec![9_u8; SHARED], 2_u8, "ab")).expect("encodes");
        assert_eq!((out.len(), out.to_bytes().as_ref()), (plain.len(), &plain[..]));
    }

    #[test]
    fn a_port_is_taken_once_and_the_rest_is_dropped() {
        struct Taken(bool);
        impl<'de> serde::Deserialize<'de> for Taken {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self(import(u32::deserialize(deserializer)?).is_some()))
            }
        }
        let ports = (0..2).map(|_| Import::Items(stream::empty().boxed())).collect();
        let incoming = Incoming { bytes: Bytes::from_static(&[0, 0, 5]), ports };
        let taken: (Taken, Taken, Taken) = incoming.decode(|_| Ok(())).expect("decodes");
        assert_eq!((taken.0.0, taken.1.0, taken.2.0), (true, false, false));
        assert!(import(1).is_none());
        assert!(
            Incoming::new(Bytes::from_static(&[1, 2])).decode::<u8>(|_| Ok(())).is_err(),
            "a rest is refused"
        );
    }
}
