//! A PostgreSQL server as far as a client's pool needs one: it lets everybody in, and answers statements, simple and prepared, as
//! if each had been carried out and had no rows. One thread a connection, and a session is as slow as its statements.
//!
//! The messages are those of <https://www.postgresql.org/docs/16/protocol-message-formats.html>.

use crate::support::up_to;
use std::io::{BufReader, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};

/// A host's whole `main`.
pub fn serve() -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:5432")?;
    for socket in listener.incoming() {
        let socket = socket?;
        // A client that hangs up in the middle of something concerns nobody else.
        std::thread::spawn(move || session(&socket));
    }
    Ok(())
}

fn session(socket: &TcpStream) -> Result<()> {
    let mut requests = BufReader::new(socket);
    let mut replies = Replies(Vec::new());
    let startup = body(&mut requests)?;
    if startup.get(..4) != Some(&[0, 3, 0, 0]) {
        return Err(ErrorKind::Unsupported.into());
    }
    replies.add(b'R', &0i32.to_be_bytes()); // AuthenticationOk
    replies.add(b'S', b"server_version\016.0\0"); // ParameterStatus
    replies.add(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]); // BackendKeyData
    replies.ready();
    std::thread::sleep(up_to(2));
    replies.send(socket)?;
    loop {
        let mut tag = [0];
        requests.read_exact(&mut tag)?;
        body(&mut requests)?;
        match tag[0] {
            b'P' => replies.add(b'1', b""), // Parse: ParseComplete
            b'B' => replies.add(b'2', b""), // Bind: BindComplete
            b'C' => replies.add(b'3', b""), // Close: CloseComplete
            b'D' => replies.add(b'n', b""), // Describe: NoData
            b'E' => replies.done(),         // Execute
            // Query
            b'Q' => {
                replies.done();
                replies.ready();
                replies.send(socket)?;
            }
            // Sync
            b'S' => {
                replies.ready();
                replies.send(socket)?;
            }
            b'H' => replies.send(socket)?, // Flush
            b'X' => return Ok(()),         // Terminate
            _ => return Err(ErrorKind::Unsupported.into()),
        }
    }
}

/// The rest of a message, behind its tag: a length that counts itself, and so many bytes. None of the messages is long.
fn body(requests: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    requests.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length)
        .checked_sub(4)
        .filter(|length| *length < 10_000)
        .ok_or(ErrorKind::InvalidData)?;
    let mut body = vec![0; length as usize];
    requests.read_exact(&mut body)?;
    Ok(body)
}

/// What the client is told when it has asked for everything that it wants to know.
struct Replies(Vec<u8>);

impl Replies {
    fn add(&mut self, tag: u8, body: &[u8]) {
        self.0.push(tag);
        self.0.extend((body.len() as u32 + 4).to_be_bytes());
        self.0.extend(body);
    }

    /// CommandComplete, after a while.
    fn done(&mut self) {
        std::thread::sleep(up_to(2));
        self.add(b'C', b"INSERT 0 1\0");
    }

    /// ReadyForQuery, outside a transaction.
    fn ready(&mut self) {
        self.add(b'Z', b"I");
    }

    fn send(&mut self, mut socket: &TcpStream) -> Result<()> {
        socket.write_all(&self.0)?;
        self.0.clear();
        Ok(())
    }
}
