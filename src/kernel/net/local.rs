//! What travels between Unix sockets of one host: bytes, messages, and descriptors in flight (`SCM_RIGHTS`).
//!
//! Everything that is sent is readable at once. Room is charged to the sender as Linux does: by the memory of the buffers,
//! not by the bytes in them, so many small messages fill a socket sooner than few large ones.

use super::address::{Address, Style, UnixName};
use super::socket::Received;
use crate::kernel::descriptor::buffer::Buffer;
use crate::kernel::descriptor::unix::State;
use crate::kernel::descriptor::{Kind, ObjectId, bits};
use crate::kernel::{Errno, Kernel, Result};
use std::collections::VecDeque;

/// A stream's bytes are queued in pieces of at most so many bytes.
const PIECE: usize = 36_544;
/// A datagram socket that is not connected back queues so many messages and one more.
const QUEUE: usize = 10;

/// The memory that Linux charges for a buffer of `n` bytes.
pub(crate) fn charge(n: usize) -> usize {
    if n <= 3776 {
        (n + 320).next_power_of_two().max(512) + 256
    } else {
        n + n / 4 + 1024
    }
}

/// One `send`, or a piece of it.
#[derive(Debug)]
struct Piece {
    /// Bytes of it that are still unread.
    left: usize,
    charge: usize,
    sender: ObjectId,
    from: UnixName,
    rights: Vec<ObjectId>,
}

/// What waits to be read.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Buffer,
    pieces: VecDeque<Piece>,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox {
            bytes: Buffer::new(usize::MAX),
            pieces: VecDeque::new(),
        }
    }
}

impl Inbox {
    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits, not even an empty message.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether closing it loses something; Linux does not count an empty message at the front.
    pub(crate) fn is_unread(&self) -> bool {
        let skip = usize::from(self.pieces.front().is_some_and(|p| p.left == 0));
        self.pieces.len() > skip
    }

    /// What `FIONREAD` reports: all bytes, of a datagram socket those of the first message.
    pub(crate) fn waiting(&self, style: Style) -> usize {
        match style {
            Style::Stream | Style::SeqPacket => self.bytes.len(),
            Style::Datagram => self.pieces.front().map_or(0, |p| p.left),
        }
    }
}

impl Kernel {
    /// Sends a message or some of a stream's bytes. `EAGAIN` while there is no room. The objects in `rights` have one
    /// reference each, which goes with the message when anything is sent and stays the caller's on failure.
    pub(crate) fn unix_send(
        &mut self,
        id: ObjectId,
        parts: &[&[u8]],
        to: Option<&UnixName>,
        rights: &[ObjectId],
    ) -> Result<usize> {
        let u = self.unix(id)?;
        match u.style {
            Style::Stream => {
                if to.is_some() {
                    let connected = u.state == State::Connected;
                    return Err(if connected {
                        Errno::EISCONN
                    } else {
                        Errno::EOPNOTSUPP
                    });
                }
                self.unix_send_stream(id, parts, rights)
            }
            Style::Datagram | Style::SeqPacket => self.unix_send_message(id, parts, to, rights),
        }
    }

    fn unix_send_stream(
        &mut self,
        id: ObjectId,
        parts: &[&[u8]],
        rights: &[ObjectId],
    ) -> Result<usize> {
        let u = self.unix(id)?;
        let Some(peer) = u.peer else {
            return Err(Errno::ENOTCONN);
        };
        if u.no_more_out {
            return Err(Errno::EPIPE);
        }
        let whole: usize = parts.iter().map(|p| p.len()).sum();
        if whole == 0 {
            return Ok(0);
        }
        let may_split = self.objects.nonblocking(id);
        let wanted = if may_split {
            self.split_write(whole, false)
        } else {
            whole
        };
        let mut sent = 0;
        let mut part = 0;
        let mut offset = 0;
        while sent < wanted {
            let u = self.unix(id)?;
            if let Some(e) = u.error.take() {
                return if sent > 0 { Ok(sent) } else { Err(e) };
            }
            let capacity = u.options.send_capacity();
            if u.outstanding >= capacity {
                break;
            }
            let n = (wanted - sent).min(PIECE).min(capacity / 2);
            u.outstanding += charge(n);
            match self.unix(peer) {
                Ok(p) if !p.no_more_in => {
                    let mut left = n;
                    while left > 0 {
                        let rest = &parts[part][offset..];
                        let now = rest.len().min(left);
                        p.inbox.bytes.push(&rest[..now]);
                        left -= now;
                        offset += now;
                        if offset == parts[part].len() {
                            part += 1;
                            offset = 0;
                        }
                    }
                    p.inbox.pieces.push_back(Piece {
                        left: n,
                        charge: charge(n),
                        sender: id,
                        from: UnixName::Unnamed,
                        rights: if sent == 0 {
                            rights.to_vec()
                        } else {
                            Vec::new()
                        },
                    });
                }
                _ => {
                    self.unix(id)?.outstanding -= charge(n);
                    self.notify(id, bits::OUT);
                    return if sent > 0 {
                        Ok(sent)
                    } else {
                        Err(Errno::EPIPE)
                    };
                }
            }
            sent += n;
        }
        if sent == 0 {
            return Err(Errno::EAGAIN);
        }
        self.progress();
        self.notify(peer, bits::IN);
        if sent < whole && sent == wanted {
            // A short count although there was room: to the program the buffer was full and then had room again.
            self.notify(id, bits::OUT);
        }
        Ok(sent)
    }

    fn unix_send_message(
        &mut self,
        id: ObjectId,
        parts: &[&[u8]],
        to: Option<&UnixName>,
        rights: &[ObjectId],
    ) -> Result<usize> {
        let u = self.unix(id)?;
        let style = u.style;
        if style == Style::SeqPacket {
            if let Some(e) = u.error.take() {
                return Err(e);
            }
            if u.state != State::Connected {
                return Err(Errno::ENOTCONN);
            }
        }
        let to = to.filter(|_| style == Style::Datagram);
        if to == Some(&UnixName::Unnamed) {
            return Err(Errno::EINVAL);
        }
        let n: usize = parts.iter().map(|p| p.len()).sum();
        let capacity = u.options.send_capacity();
        if n > capacity - 32 {
            return Err(Errno::EMSGSIZE);
        }
        if let Some(e) = u.error.take() {
            return Err(e);
        }
        if u.no_more_out {
            return Err(Errno::EPIPE);
        }
        if u.outstanding >= capacity {
            return Err(Errno::EAGAIN);
        }
        let from = u.name.clone();
        let target = match self.unix_target(id, to) {
            Ok(target) => target,
            Err(e) => {
                if e != Errno::EAGAIN {
                    // Linux gives back the buffer that it had taken for the message, which counts as room.
                    self.notify(id, bits::OUT);
                }
                return Err(e);
            }
        };
        let t = self.unix(target)?;
        for part in parts {
            t.inbox.bytes.push(part);
        }
        t.inbox.pieces.push_back(Piece {
            left: n,
            charge: charge(n),
            sender: id,
            from,
            rights: rights.to_vec(),
        });
        self.unix(id)?.outstanding += charge(n);
        self.progress();
        self.notify(target, bits::IN);
        Ok(n)
    }

    /// The socket that a message is for, if it would take it now.
    fn unix_target(&mut self, id: ObjectId, to: Option<&UnixName>) -> Result<ObjectId> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let u = self.unix(id)?;
        let (style, peer) = (u.style, u.peer);
        let target = match (to, peer) {
            (Some(name), _) => self.unix_find(host, name, style)?,
            (None, Some(peer)) => peer,
            (None, None) => return Err(Errno::ENOTCONN),
        };
        let Ok(t) = self.unix(target) else {
            // The peer is gone.
            if style == Style::SeqPacket {
                return Err(Errno::EPIPE);
            }
            if to.is_none() {
                self.unix_disconnect(id)?;
            }
            return Err(Errno::ECONNREFUSED);
        };
        if style == Style::Datagram && t.peer.is_some_and(|p| p != id) {
            return Err(Errno::EPERM);
        }
        if t.no_more_in {
            return Err(Errno::EPIPE);
        }
        if target != id && t.peer != Some(id) && t.inbox.pieces.len() > QUEUE {
            self.unix(id)?.full = Some(target);
            return Err(Errno::EAGAIN);
        }
        Ok(target)
    }

    /// Receives a message or some of a stream's bytes. `EAGAIN` while nothing is there.
    pub(crate) fn unix_receive(
        &mut self,
        id: ObjectId,
        parts: &mut [&mut [u8]],
        peek: bool,
    ) -> Result<Received> {
        let u = self.unix(id)?;
        let connected = u.state == State::Connected;
        match u.style {
            Style::Stream if !connected => return Err(Errno::EINVAL),
            Style::SeqPacket if !connected => return Err(Errno::ENOTCONN),
            // Of messages the error comes first, of a stream the bytes do.
            Style::SeqPacket | Style::Datagram => {
                if let Some(e) = u.error.take() {
                    return Err(e);
                }
            }
            Style::Stream => {}
        }
        if u.inbox.is_empty() {
            if let Some(e) = u.error.take() {
                return Err(e);
            }
            if u.no_more_in && (u.style != Style::Datagram || !self.objects.nonblocking(id)) {
                return Ok(Received::default());
            }
            return Err(Errno::EAGAIN);
        }
        if u.style == Style::Stream {
            self.unix_receive_stream(id, parts, peek)
        } else {
            self.unix_receive_message(id, parts, peek)
        }
    }

    fn unix_receive_stream(
        &mut self,
        id: ObjectId,
        parts: &mut [&mut [u8]],
        peek: bool,
    ) -> Result<Received> {
        let room: usize = parts.iter().map(|p| p.len()).sum();
        let inbox = &self.unix(id)?.inbox;
        // Descriptors come with the first byte of what they were sent with, and end the count before the next ones.
        let mut there = 0;
        for (i, piece) in inbox.pieces.iter().enumerate() {
            if i > 0 && !piece.rights.is_empty() {
                break;
            }
            there += piece.left;
            if there >= room {
                break;
            }
        }
        let there = there.min(room);
        let n = if peek {
            there
        } else {
            self.split_read(there, false)
        };
        let inbox = &mut self.unix(id)?.inbox;
        let mut copied = 0;
        for part in parts.iter_mut() {
            let now = part.len().min(n - copied);
            inbox.bytes.copy_at(copied, &mut part[..now]);
            copied += now;
        }
        let mut received = Received {
            len: n,
            whole: n,
            ..Received::default()
        };
        if peek {
            return Ok(received);
        }
        inbox.bytes.consume(n);
        if let Some(first) = inbox.pieces.front_mut() {
            received.rights = std::mem::take(&mut first.rights);
        }
        let mut left = n;
        while left > 0 {
            let inbox = &mut self.unix(id)?.inbox;
            let Some(first) = inbox.pieces.front_mut() else {
                break;
            };
            let now = first.left.min(left);
            first.left -= now;
            left -= now;
            if first.left > 0 {
                break;
            }
            let (sender, charge) = (first.sender, first.charge);
            inbox.pieces.pop_front();
            self.discharge(sender, charge);
        }
        self.progress();
        if n < there {
            // A short count although more was there: to the program the rest arrived just after.
            self.notify(id, bits::IN);
        }
        Ok(received)
    }

    fn unix_receive_message(
        &mut self,
        id: ObjectId,
        parts: &mut [&mut [u8]],
        peek: bool,
    ) -> Result<Received> {
        let inbox = &mut self.unix(id)?.inbox;
        let Some(first) = inbox.pieces.front_mut() else {
            return Err(Errno::EAGAIN);
        };
        let whole = first.left;
        let mut copied = 0;
        for part in parts.iter_mut() {
            let now = part.len().min(whole - copied);
            inbox.bytes.copy_at(copied, &mut part[..now]);
            copied += now;
        }
        let mut received = Received {
            len: copied,
            whole,
            from: Some(Address::Unix(first.from.clone())),
            ..Received::default()
        };
        if peek {
            return Ok(received);
        }
        received.rights = std::mem::take(&mut first.rights);
        let (sender, charge) = (first.sender, first.charge);
        inbox.bytes.consume(whole);
        inbox.pieces.pop_front();
        let was_full = inbox.pieces.len() == QUEUE;
        self.progress();
        self.discharge(sender, charge);
        if was_full {
            // Somebody may be blocked in a send to this socket.
            self.notify(id, bits::OUT);
        }
        Ok(received)
    }

    /// A piece was read, or thrown away: its sender has room again.
    fn discharge(&mut self, sender: ObjectId, charge: usize) {
        let Ok(s) = self.unix(sender) else {
            return;
        };
        s.outstanding = s.outstanding.saturating_sub(charge);
        if s.writable() {
            // As Linux, at every piece: not only when there was no room before.
            self.notify(sender, bits::OUT);
        }
    }

    /// Whether the object is a Unix socket.
    pub(crate) fn is_unix(&self, id: ObjectId) -> bool {
        matches!(self.objects.get(id), Some(Kind::Unix(_)))
    }

    /// A socket was closed with this unread.
    pub(crate) fn inbox_dropped(&mut self, inbox: Inbox) {
        for piece in inbox.pieces {
            self.discharge(piece.sender, piece.charge);
            for object in piece.rights {
                self.release(object);
            }
        }
    }
}
