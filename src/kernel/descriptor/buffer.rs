//! A bounded byte queue: what lies between a writer and a reader of a pipe or a stream socket.

use std::collections::VecDeque;

/// Bytes in order, at most `capacity` of them.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: VecDeque<u8>,
    capacity: usize,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Buffer {
        Buffer {
            bytes: VecDeque::new(),
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many more bytes fit.
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the capacity; bytes that are there stay.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Appends as much of `data` as fits; returns how much.
    pub(crate) fn push(&mut self, data: &[u8]) -> usize {
        let n = data.len().min(self.room());
        self.bytes.extend(&data[..n]);
        n
    }

    /// Copies from the front into `out` without consuming; returns how much.
    pub(crate) fn peek(&self, out: &mut [u8]) -> usize {
        let (a, b) = self.bytes.as_slices();
        let first = a.len().min(out.len());
        out[..first].copy_from_slice(&a[..first]);
        let second = b.len().min(out.len() - first);
        out[first..first + second].copy_from_slice(&b[..second]);
        first + second
    }

    /// Drops `n` bytes from the front.
    pub(crate) fn consume(&mut self, n: usize) {
        self.bytes.drain(..n.min(self.bytes.len()));
    }

    /// Moves bytes from the front into `out`; returns how many.
    pub(crate) fn pop(&mut self, out: &mut [u8]) -> usize {
        let n = self.peek(out);
        self.consume(n);
        n
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}
