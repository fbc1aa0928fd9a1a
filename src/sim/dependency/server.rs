//! The host of a dependency: listens while it is up, refuses while it is down, and resets what was open when it goes down. The
//! protocols (`stream.rs`, `http.rs`) bring what is done with one connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};

use super::mode::FailureMode;
use super::race::{First, race};
use super::stub::{Stub, sleep};
use crate::kernel;

/// Every address of the host: madsim knows the older ones alone.
const ANY: &str = if cfg!(squall_madsim) { "0.0.0.0" } else { "::" };

/// One connection, which ends as it should when it is dropped: in order, or by a reset.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Wire {
    fn new(stream: TcpStream) -> Wire {
        // Each piece of a drip leaves at once. The simulated kernel knows the option.
        let _ = stream.set_nodelay(true);
        Wire {
            stream,
            reset: Arc::default(),
        }
    }

    /// From now on it ends by a reset.
    pub(super) fn reset(&self) {
        #[cfg(squall_madsim)]
        kernel::refuse(
            "a dependency that resets connections",
            "its sockets only end in order; leave errors.reset out",
        );
        #[cfg(not(squall_madsim))]
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Appends what has arrived to the buffer; `false` at the end of the stream, or of the connection.
    #[cfg(squall_madsim)]
    pub(super) async fn read_more(&mut self, buffer: &mut Vec<u8>) -> bool {
        use tokio::io::{AsyncRead, ReadBuf};
        let mut piece = [0; 4096];
        let mut read = ReadBuf::new(&mut piece);
        let stream = &mut self.stream;
        let done =
            std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_read(cx, &mut read));
        if done.await.is_err() || read.filled().is_empty() {
            return false;
        }
        buffer.extend_from_slice(read.filled());
        true
    }

    /// Appends what has arrived to the buffer; `false` at the end of the stream, or of the connection.
    #[cfg(not(squall_madsim))]
    pub(super) async fn read_more(&mut self, buffer: &mut Vec<u8>) -> bool {
        let mut piece = [0; 4096];
        loop {
            if self.stream.readable().await.is_err() {
                return false;
            }
            match self.stream.try_read(&mut piece) {
                Ok(0) => return false,
                Ok(n) => {
                    buffer.extend_from_slice(&piece[..n]);
                    return true;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    /// Writes everything; so many bytes at a time, each in so many nanoseconds after the one before, if that is given.
    pub(super) async fn write(&mut self, bytes: &[u8], drip: Option<(u32, u64)>) -> io::Result<()> {
        let Some((piece, every)) = drip else {
            return self.write_all(bytes).await;
        };
        for piece in bytes.chunks(piece as usize) {
            sleep(every).await;
            self.write_all(piece).await?;
        }
        Ok(())
    }

    #[cfg(squall_madsim)]
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        use tokio::io::AsyncWrite;
        let mut stream = std::pin::Pin::new(&mut self.stream);
        // madsim takes everything at once, and sends it when it is flushed.
        let written = std::future::poll_fn(|cx| stream.as_mut().poll_write(cx, bytes)).await?;
        assert_eq!(written, bytes.len(), "squall bug: a short write on madsim");
        std::future::poll_fn(|cx| stream.as_mut().poll_flush(cx)).await
    }

    #[cfg(not(squall_madsim))]
    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Waits until the client has gone, and takes what it sends until then.
    pub(super) async fn until_gone(&mut self) {
        let mut ignored = Vec::new();
        while self.read_more(&mut ignored).await {
            ignored.clear();
        }
    }
}

#[cfg(not(squall_madsim))]
impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // A close with a linger time of 0 sends RST. Newer versions of tokio have another name for it, older ones do not.
            #[allow(deprecated)]
            let _ = self.stream.set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

/// The program of a dependency's host: `connection` deals with one connection, from the host of that number.
pub(super) async fn serve<F, Fut>(stub: Stub, port: u16, connection: F) -> io::Result<()>
where
    F: Fn(Stub, Wire, u16) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    stub.starts();
    loop {
        stub.until(false).await;
        let listener = TcpListener::bind((ANY, port)).await?;
        loop {
            match race(stub.until(true), listener.accept()).await {
                First::This(()) => break,
                First::That(Ok((stream, peer))) => {
                    let client = host_of(peer.ip());
                    tokio::spawn(one(stub.clone(), stream, client, connection.clone()));
                }
                // Without a free descriptor, say: as servers do, wait and try again.
                First::That(Err(_)) => sleep(10_000_000).await,
            }
        }
        drop(listener);
        let scheduled = !matches!(stub.broken(), Some((FailureMode::Refused, _)));
        if scheduled {
            tell(&stub, "fault.begin", "goes down");
        }
        stub.until(false).await;
        if scheduled {
            tell(&stub, "fault.end", "comes up");
        }
    }
}

/// A window of the behaviour begins or ends, for the story and the report.
fn tell(stub: &Stub, kind: &'static str, what: &str) {
    let name = stub.name();
    kernel::tell(|| format!("dependency {name}: {what}"));
    kernel::note(kind, || {
        let id = format!("dependency {name} outage");
        serde_json::json!({ "id": id, "what": "outage", "hosts": [name] }).to_string()
    });
}

/// Deals with one connection until it ends or the dependency goes down.
async fn one<F, Fut>(stub: Stub, stream: TcpStream, client: u16, connection: F)
where
    F: Fn(Stub, Wire, u16) -> Fut,
    Fut: Future<Output = ()>,
{
    let wire = Wire::new(stream);
    let reset = wire.reset.clone();
    let served = connection(stub.clone(), wire, client);
    let down = async {
        stub.until(true).await;
        reset.store(true, Ordering::Relaxed);
    };
    race(served, down).await;
}

/// The number of the host with this address; the test's own for one that nobody has.
fn host_of(ip: std::net::IpAddr) -> u16 {
    let ip = ip.to_canonical();
    let hosts = kernel::hosts();
    let host = hosts.iter().find(|h| ip == h.v4 || ip == h.v6);
    host.map_or(0, |h| h.id)
}
