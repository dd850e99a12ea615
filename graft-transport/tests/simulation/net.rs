//! One direction of a connection: it keeps bytes in order, and nothing else is sure.

use std::collections::VecDeque;
use std::time::Duration;

pub(crate) enum Arrival {
    Bytes(Vec<u8>),
    End,
}

/// Bytes under way, at most `capacity` of them; who writes more has to wait.
pub(crate) struct Pipe {
    chunks: VecDeque<(Duration, Vec<u8>)>,
    under_way: usize,
    capacity: usize,
    /// Nothing overtakes what was written last.
    last: Duration,
    end: Option<Duration>,
    /// How many bytes were written.
    pub written: u64,
    /// After so many bytes the connection breaks.
    pub cut_at: Option<u64>,
    pub is_broken: bool,
    /// Nothing arrives any more and nobody is told.
    pub is_silent: bool,
}

impl Pipe {
    pub(crate) fn new(capacity: usize, cut_at: Option<u64>) -> Self {
        Self {
            chunks: VecDeque::new(),
            under_way: 0,
            capacity,
            last: Duration::ZERO,
            end: None,
            written: 0,
            cut_at,
            is_broken: cut_at == Some(0),
            is_silent: false,
        }
    }

    /// Takes what there is room for, to arrive at `at` or after what was written before; how many bytes.
    pub(crate) fn write(&mut self, at: Duration, bytes: &[u8]) -> usize {
        if self.is_broken || self.end.is_some() {
            return bytes.len();
        }
        let mut n = bytes.len().min(self.capacity - self.under_way);
        if let Some(cut_at) = self.cut_at
            && self.written + n as u64 >= cut_at
        {
            n = (cut_at - self.written) as usize;
            self.is_broken = true;
        }
        if n > 0 {
            self.last = self.last.max(at);
            self.chunks.push_back((self.last, bytes[..n].to_vec()));
            self.under_way += n;
            self.written += n as u64;
        }
        n
    }

    /// Nothing is written any more; the reader sees the end at `at`, after what is under way.
    pub(crate) fn end(&mut self, at: Duration) {
        self.end.get_or_insert(self.last.max(at));
    }

    /// Loses what is under way from byte `from` of it on, as a reset does.
    pub(crate) fn lose(&mut self, from: usize) {
        let mut left = from;
        self.chunks.retain_mut(|(_, chunk)| {
            chunk.truncate(left);
            left -= chunk.len();
            !chunk.is_empty()
        });
        self.under_way = self.chunks.iter().map(|(_, chunk)| chunk.len()).sum();
        self.is_broken = true;
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    /// When there is something to read.
    pub(crate) fn due(&self) -> Option<Duration> {
        if self.is_silent {
            return None;
        }
        self.chunks.front().map(|(at, _)| *at).or(self.end)
    }

    /// Whether what is due is not the end.
    pub(crate) fn holds_bytes(&self, now: Duration) -> bool {
        !self.chunks.is_empty() && self.due().is_some_and(|at| at <= now)
    }

    pub(crate) fn read(&mut self, now: Duration) -> Option<Arrival> {
        self.due().filter(|at| *at <= now)?;
        Some(match self.chunks.pop_front() {
            Some((_, chunk)) => {
                self.under_way -= chunk.len();
                Arrival::Bytes(chunk)
            }
            None => {
                // The end is seen once.
                self.is_silent = true;
                Arrival::End
            }
        })
    }
}
