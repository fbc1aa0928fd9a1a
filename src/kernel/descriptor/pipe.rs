//! pipe(7): a byte queue with a read end and a write end.
//!
//! The read end owns the queue; the write end knows its reader. Writes of up to `PIPE_BUF` bytes are atomic.

use super::buffer::Buffer;
use super::{Kind, ObjectId, bits};
use crate::kernel::{Errno, Kernel, Result};

/// A pipe's capacity on Linux, in bytes.
const CAPACITY: usize = 65_536;
/// Writes of up to this many bytes are never split.
const ATOMIC: usize = 4096;

/// The end that is read.
#[derive(Debug)]
pub(crate) struct PipeReader {
    queue: Buffer,
    writer: Option<ObjectId>,
}

/// The end that is written.
#[derive(Debug)]
pub(crate) struct PipeWriter {
    reader: Option<ObjectId>,
    /// Bytes that were unread when the last reader went.
    lost: usize,
}

impl PipeReader {
    pub(super) fn readiness(&self) -> u32 {
        let mut r = 0;
        if !self.queue.is_empty() {
            r |= bits::IN;
        }
        if self.writer.is_none() {
            r |= bits::HUP;
        }
        r
    }
}

impl Kernel {
    /// Bytes waiting in a pipe, for `FIONREAD` on either end.
    pub(crate) fn pipe_waiting(&self, id: ObjectId) -> usize {
        match self.objects.get(id) {
            Some(Kind::PipeReader(r)) => r.queue.len(),
            Some(Kind::PipeWriter(w)) => w.reader.map_or(w.lost, |r| self.pipe_waiting(r)),
            _ => 0,
        }
    }

    /// A pipe: descriptors of the read end and the write end.
    pub(crate) fn pipe(&mut self, nonblocking: bool, close_on_exec: bool) -> Result<(i32, i32)> {
        let reader = self.new_object(
            Kind::PipeReader(PipeReader {
                queue: Buffer::new(CAPACITY),
                writer: None,
            }),
            nonblocking,
        );
        let writer = self.new_object(
            Kind::PipeWriter(PipeWriter {
                reader: Some(reader),
                lost: 0,
            }),
            nonblocking,
        );
        if let Some(Kind::PipeReader(r)) = self.objects.get_mut(reader) {
            r.writer = Some(writer);
        }
        let read = match self.install(reader, close_on_exec) {
            Ok(fd) => fd,
            Err(e) => {
                self.release(writer);
                return Err(e);
            }
        };
        match self.install(writer, close_on_exec) {
            Ok(write) => Ok((read, write)),
            Err(e) => {
                self.close(read)?;
                Err(e)
            }
        }
    }

    /// Reads what is there. `EAGAIN` while the pipe is empty and has a writer, 0 once it has none.
    pub(crate) fn pipe_read(&mut self, id: ObjectId, out: &mut [u8]) -> Result<usize> {
        let Some(Kind::PipeReader(p)) = self.objects.get_mut(id) else {
            return Err(Errno::EBADF);
        };
        if out.is_empty() {
            return Ok(0);
        }
        if p.queue.is_empty() {
            return if p.writer.is_some() {
                Err(Errno::EAGAIN)
            } else {
                Ok(0)
            };
        }
        let was_full = p.queue.room() < ATOMIC;
        let n = p.queue.pop(out);
        let opens = was_full && p.queue.room() >= ATOMIC;
        let writer = p.writer;
        self.progress();
        if opens && let Some(writer) = writer {
            self.notify(writer, bits::OUT);
        }
        Ok(n)
    }

    /// Writes what fits. `EAGAIN` when it does not fit, `EPIPE` without a reader.
    pub(crate) fn pipe_write(&mut self, id: ObjectId, data: &[u8]) -> Result<usize> {
        let Some(Kind::PipeWriter(w)) = self.objects.get_mut(id) else {
            return Err(Errno::EBADF);
        };
        if data.is_empty() {
            return Ok(0);
        }
        let Some(reader) = w.reader else {
            return Err(Errno::EPIPE);
        };
        let Some(Kind::PipeReader(r)) = self.objects.get_mut(reader) else {
            return Err(Errno::EPIPE);
        };
        let room = r.queue.room();
        if room == 0 || (data.len() <= ATOMIC && room < data.len()) {
            return Err(Errno::EAGAIN);
        }
        let n = r.queue.push(data);
        self.progress();
        self.notify(reader, bits::IN);
        Ok(n)
    }

    pub(super) fn pipe_writer_readiness(&self, writer: &PipeWriter) -> u32 {
        match writer.reader.and_then(|r| self.objects.get(r)) {
            Some(Kind::PipeReader(r)) if r.queue.room() >= ATOMIC => bits::OUT,
            Some(_) => 0,
            None => bits::OUT | bits::ERR,
        }
    }

    pub(super) fn pipe_reader_closed(&mut self, reader: PipeReader) {
        if let Some(writer) = reader.writer {
            if let Some(Kind::PipeWriter(w)) = self.objects.get_mut(writer) {
                w.reader = None;
                w.lost = reader.queue.len();
            }
            self.notify(writer, bits::OUT | bits::ERR);
        }
    }

    pub(super) fn pipe_writer_closed(&mut self, writer: PipeWriter) {
        if let Some(reader) = writer.reader {
            if let Some(Kind::PipeReader(r)) = self.objects.get_mut(reader) {
                r.writer = None;
            }
            self.notify(reader, bits::HUP);
        }
    }
}
