//! Bytes on their way to the peer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use graft_core::Outgoing;
use graft_core::port::Piece;

/// From this size on a body is handed on and not copied.
const LARGE: usize = 32 << 10;
/// A buffer that grew beyond this is given back once it is written.
const KEEP: usize = 256 << 10;

enum Chunk {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// What a session has to say: small frames one behind the other, large bodies as they are.
#[derive(Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Chunk>,
    tail: Vec<u8>,
    /// Bytes in `chunks`.
    len: usize,
}

impl Outbox {
    /// Where frames are printed.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    pub(super) fn len(&self) -> usize {
        self.len + self.tail.len()
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.tail.clear();
        self.len = 0;
    }

    /// Appends a body behind its head. What is large moves; the rest stays as it was.
    pub(super) fn push_body(&mut self, body: &mut Outgoing) {
        match body.as_slice() {
            Some(bytes) if bytes.len() < LARGE => self.tail.extend_from_slice(bytes),
            Some(_) => self.push(Chunk::Own(body.take_bytes())),
            None => {
                for piece in body.pieces() {
                    match piece {
                        Piece::Shared(bytes) => self.push(Chunk::Shared(bytes.clone())),
                        Piece::Own(bytes) => self.tail.extend_from_slice(bytes),
                    }
                }
            }
        }
    }

    /// Appends bytes behind their head.
    pub(super) fn push_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < LARGE {
            self.tail.extend_from_slice(bytes);
        } else {
            self.push(Chunk::Shared(bytes.clone()));
        }
    }

    fn push(&mut self, chunk: Chunk) {
        if !self.tail.is_empty() {
            self.len += self.tail.len();
            self.chunks.push_back(Chunk::Own(std::mem::take(&mut self.tail)));
        }
        self.len += chunk.as_slice().len();
        self.chunks.push_back(chunk);
    }
}

/// Bytes that a shell writes. It fetches them with [`Session::poll_transmit`](super::Session::poll_transmit),
/// writes what it can and says so with [`Transmit::advance`].
#[derive(Default)]
pub struct Transmit {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are written.
    written: usize,
    len: usize,
    /// A buffer to be used again.
    spare: Vec<u8>,
}

impl Transmit {
    /// Bytes that are not written yet.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is to be written next, in as many pieces as there is room for; how many they are.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let mut used = 0;
        for (chunk, place) in self.chunks.iter().zip(into) {
            *place = IoSlice::new(&chunk.as_slice()[skip..]);
            skip = 0;
            used += 1;
        }
        used
    }

    /// Everything that is to be written, one piece after the other.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let skips = [self.written].into_iter().chain(std::iter::repeat(0));
        self.chunks.iter().zip(skips).map(|(chunk, skip)| &chunk.as_slice()[skip..])
    }

    /// Says that `n` bytes more are written.
    pub fn advance(&mut self, n: usize) {
        let mut n = n.min(self.len);
        self.len -= n;
        while let Some(front) = self.chunks.front() {
            let left = front.as_slice().len() - self.written;
            if n < left {
                self.written += n;
                return;
            }
            n -= left;
            self.written = 0;
            if let Some(Chunk::Own(mut bytes)) = self.chunks.pop_front()
                && (self.spare.capacity()..=KEEP).contains(&bytes.capacity())
            {
                bytes.clear();
                self.spare = bytes;
            }
        }
    }

    /// Takes over what `outbox` has; whether there is anything to write.
    pub(super) fn fetch(&mut self, outbox: &mut Outbox) -> bool {
        self.len += outbox.len();
        self.chunks.append(&mut outbox.chunks);
        outbox.len = 0;
        if !outbox.tail.is_empty() {
            let tail = std::mem::replace(&mut outbox.tail, std::mem::take(&mut self.spare));
            self.chunks.push_back(Chunk::Own(tail));
        }
        self.len > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_in_pieces_of_any_size() {
        let mut outbox = Outbox::default();
        outbox.tail().extend_from_slice(b"head");
        outbox.push_bytes(&Bytes::from(vec![7; LARGE]));
        outbox.tail().extend_from_slice(b"next");
        outbox.push_bytes(&Bytes::from_static(b"small"));
        let whole = [b"head".as_slice(), &[7; LARGE], b"nextsmall"].concat();
        assert_eq!(outbox.len(), whole.len());
        let mut transmit = Transmit::default();
        assert!(transmit.fetch(&mut outbox));
        assert_eq!((outbox.len(), transmit.len()), (0, whole.len()));
        let mut got = Vec::new();
        for step in (1..).map(|n| n * 7) {
            let mut slices = [IoSlice::new(&[]); 2];
            let used = transmit.slices(&mut slices);
            let bytes: Vec<u8> =
                slices[..used].iter().flat_map(|slice| slice.iter().copied()).take(step).collect();
            got.extend_from_slice(&bytes);
            transmit.advance(bytes.len());
            if transmit.is_empty() {
                break;
            }
        }
        assert!(got == whole);
    }
}
