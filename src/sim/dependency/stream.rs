//! Dependencies that speak a protocol of lines, or of frames with their length before them.

use std::sync::Arc;

use super::admit::Answer;
use super::server::Wire;
use super::stub::Stub;

/// A protocol in which requests and replies alternate on a connection.
pub(super) trait Protocol: Send + 'static {
    type Request: Send;
    type Reply: Send;
    /// Takes the first request off the buffer, `None` if it has not arrived in full.
    fn request(buffer: &mut Vec<u8>) -> Result<Option<Self::Request>, Broken>;
    /// What a history calls it.
    fn what(request: &Self::Request) -> String;
    /// A reply as bytes.
    fn reply(reply: Self::Reply) -> Vec<u8>;
    /// A reply made of these bytes.
    fn raw(bytes: Vec<u8>) -> Vec<u8>;
    /// Bytes that are no reply, of one of several kinds.
    fn malformed(kind: u64) -> &'static [u8];
}

/// What the client sends is no request.
pub(super) struct Broken;

/// Lines of UTF-8, each ended by LF or CR LF.
pub(super) struct Lines;

/// The longest line.
const LINE: usize = 64 << 10;

impl Protocol for Lines {
    type Request = String;
    type Reply = String;

    fn request(buffer: &mut Vec<u8>) -> Result<Option<String>, Broken> {
        let Some(end) = buffer.iter().position(|b| *b == b'\n') else {
            return if buffer.len() > LINE {
                Err(Broken)
            } else {
                Ok(None)
            };
        };
        let mut line: Vec<u8> = buffer.drain(..=end).collect();
        line.pop();
        line.pop_if(|last| *last == b'\r');
        String::from_utf8(line).map(Some).map_err(|_| Broken)
    }

    fn what(request: &String) -> String {
        request.chars().take(60).collect()
    }

    fn reply(reply: String) -> Vec<u8> {
        Self::raw(reply.into_bytes())
    }

    fn raw(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.push(b'\n');
        bytes
    }

    fn malformed(kind: u64) -> &'static [u8] {
        match kind {
            0 => b"\xff\xfe\x80\n",
            1 => b"OK\xc3\x28\n",
            // The second half of a character, and then the end of the stream.
            _ => b"\xe2\x82",
        }
    }
}

/// Frames: four bytes of length, the highest first, then as many bytes.
pub(super) struct Frames;

/// The longest frame, as of tokio-util's codec.
const FRAME: usize = 8 << 20;

impl Protocol for Frames {
    type Request = Vec<u8>;
    type Reply = Vec<u8>;

    fn request(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Broken> {
        let Some(head) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        if length > FRAME {
            return Err(Broken);
        }
        if buffer.len() < 4 + length {
            return Ok(None);
        }
        let frame = buffer[4..4 + length].to_vec();
        buffer.drain(..4 + length);
        Ok(Some(frame))
    }

    fn what(request: &Vec<u8>) -> String {
        format!("a frame of {} bytes", request.len())
    }

    fn reply(reply: Vec<u8>) -> Vec<u8> {
        Self::raw(reply)
    }

    fn raw(bytes: Vec<u8>) -> Vec<u8> {
        let mut out = (bytes.len() as u32).to_be_bytes().to_vec();
        out.extend(bytes);
        out
    }

    fn malformed(kind: u64) -> &'static [u8] {
        match kind {
            0 => b"\xff\xff\xff\xffgarbage",
            1 => b"\x7f\x00\x00\x00HTTP/1.1 400 Bad Request",
            // A frame that ends before its end.
            _ => b"\x00\x00\x03\xe8half",
        }
    }
}

/// Serves one connection.
pub(super) async fn connection<P, F, Fut>(stub: Stub, mut wire: Wire, client: u16, handler: Arc<F>)
where
    P: Protocol,
    F: Fn(P::Request) -> Fut + Send + Sync,
    Fut: Future<Output = P::Reply> + Send,
{
    let mut buffer = Vec::new();
    loop {
        let request = loop {
            match P::request(&mut buffer) {
                Ok(Some(request)) => break request,
                Ok(None) => {}
                Err(Broken) => return,
            }
            if !wire.read_more(&mut buffer).await {
                return;
            }
        };
        let (ticket, answer) = stub.admit(P::what(&request), client).await;
        let (reply, drip) = match answer {
            Answer::Serve { drip } => (P::reply(handler(request).await), drip),
            Answer::Refuse { status, .. } => (P::raw(refusal(&stub, status)), None),
            Answer::Malformed(kind) => {
                if wire.write(P::malformed(kind), None).await.is_ok() {
                    ticket.finish();
                }
                return;
            }
            Answer::Reset | Answer::Down => {
                wire.reset();
                return ticket.finish();
            }
            Answer::Empty => return ticket.finish(),
            Answer::Never => return wire.until_gone().await,
        };
        if wire.write(&reply, drip).await.is_err() {
            return;
        }
        ticket.finish();
    }
}

/// How a protocol without statuses says that it refuses.
fn refusal(stub: &Stub, status: u16) -> Vec<u8> {
    match stub.with(|s| s.refusal.clone()) {
        Some(reply) => reply(status),
        None => format!("ERR {status} {}", reason(status)).into_bytes(),
    }
}

/// What a status means (RFC 9110, RFC 6585).
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ if status < 500 => "Client Error",
        _ => "Server Error",
    }
}
