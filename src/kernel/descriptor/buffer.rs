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

    /// Copies from `from` bytes after the front into `out` without consuming; `out` must lie within what is there.
    pub(crate) fn copy_at(&self, from: usize, out: &mut [u8]) {
        let (a, b) = self.bytes.as_slices();
        let first = a.len().saturating_sub(from).min(out.len());
        if first > 0 {
            out[..first].copy_from_slice(&a[from..from + first]);
        }
        let rest = out.len() - first;
        let skip = from.saturating_sub(a.len());
        out[first..].copy_from_slice(&b[skip..skip + rest]);
    }

    /// Appends `n` bytes of `source`, from `from` bytes after its front.
    pub(crate) fn append_from(&mut self, source: &Buffer, from: usize, n: usize) {
        let (a, b) = source.bytes.as_slices();
        let in_a = from.min(a.len())..(from + n).min(a.len());
        let in_b = from.saturating_sub(a.len())..(from + n).saturating_sub(a.len());
        self.bytes.extend(&a[in_a]);
        self.bytes.extend(&b[in_b]);
    }

    /// Gives back most of the memory of a buffer that was large once, so that it can be kept for reuse.
    pub(crate) fn shrink(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(65_536);
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer whose bytes wrap around the end of its memory.
    fn wrapped() -> Buffer {
        let mut b = Buffer::new(8);
        b.push(b"....");
        b.bytes.shrink_to_fit();
        b.push(&[b'.'; 4]);
        b.consume(6);
        assert_eq!(b.push(b"abcdefgh"), 6);
        b.consume(2);
        b
    }

    #[test]
    fn bytes_keep_their_order() {
        let mut b = wrapped();
        assert_eq!((b.len(), b.room()), (6, 2));
        let mut out = [0; 4];
        b.copy_at(1, &mut out);
        assert_eq!(&out, b"bcde");
        let mut other = Buffer::new(100);
        other.push(b">");
        other.append_from(&b, 2, 3);
        let mut all = [0; 9];
        assert_eq!(other.pop(&mut all), 4);
        assert_eq!(&all[..4], b">cde");
        assert_eq!(b.pop(&mut all), 6);
        assert_eq!(&all[..6], b"abcdef");
        assert!(b.is_empty());
    }
}
