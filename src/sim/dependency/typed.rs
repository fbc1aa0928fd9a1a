//! A dependency without a network: a function that fails as a service does.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use super::admit::Answer;
use super::behaviour::Behaviour;
use super::race::{First, race};
use super::stub::{Stub, sleep};
use crate::kernel;

type Handler<Req, Resp> =
    Arc<dyn Fn(Req) -> Pin<Box<dyn Future<Output = Resp> + Send>> + Send + Sync>;

/// A typed double of a service: what would be a remote call is a function, with the latency, the failures and the limits of a
/// [`Behaviour`].
///
/// Made by [`Sim::dependency`](crate::Sim::dependency). Clones are the same dependency. Everything about breaking and inspecting
/// it is in [`Stub`], to which it dereferences. Calls need a tokio runtime with its timer wherever they take time.
pub struct Dependency<Req, Resp> {
    stub: Stub,
    handler: Handler<Req, Resp>,
}

/// How a typed call fails, as a client library would report it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It answered with this status: an error, or a refusal by its limits (429, 503).
    #[error("status {0}")]
    Status(u16),
    /// It is down.
    #[error("connection refused")]
    Refused,
    /// The connection was reset, or the dependency went down during the call.
    #[error("connection reset")]
    Reset,
    /// What it answered cannot be read.
    #[error("malformed response")]
    Malformed,
    /// The connection was closed without an answer.
    #[error("connection closed before the response")]
    Empty,
}

/// The error that sockets report for the same event.
impl From<CallError> for io::Error {
    fn from(error: CallError) -> io::Error {
        let kind = match error {
            CallError::Status(_) => io::ErrorKind::Other,
            CallError::Refused => io::ErrorKind::ConnectionRefused,
            CallError::Reset => io::ErrorKind::ConnectionReset,
            CallError::Malformed => io::ErrorKind::InvalidData,
            CallError::Empty => io::ErrorKind::UnexpectedEof,
        };
        io::Error::new(kind, error)
    }
}

/// An answer counts as so many bytes where it drips.
const SIZE: u64 = 256;

impl<Req, Resp> Dependency<Req, Resp> {
    pub(super) fn new<F, Fut>(name: &str, behaviour: Behaviour, handler: F) -> Self
    where
        F: Fn(Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Resp> + Send + 'static,
    {
        Dependency {
            stub: Stub::new(name, false, behaviour),
            handler: Arc::new(move |request| Box::pin(handler(request))),
        }
    }

    /// Calls it. Where it does not answer ([`FailureMode::Timeout`](super::FailureMode::Timeout)) this never returns: give up after
    /// some time, as with any remote call.
    ///
    /// # Errors
    /// The failure that befell the call; the handler was not called then.
    pub async fn call(&self, request: Req) -> Result<Resp, CallError> {
        self.call_as("call", request).await
    }

    /// As [`call`](Dependency::call), with a name for the list of [calls](Stub::calls) and the history.
    ///
    /// # Errors
    /// As [`call`](Dependency::call).
    pub async fn call_as(&self, what: &str, request: Req) -> Result<Resp, CallError> {
        let client = match kernel::in_simulation() {
            true => kernel::my_host(),
            false => 0,
        };
        let call = async {
            let (ticket, answer) = self.stub.admit(what.to_owned(), client).await;
            let result = match answer {
                Answer::Serve { drip } => {
                    let response = (self.handler)(request).await;
                    if let Some((bytes, every)) = drip {
                        sleep(SIZE.div_ceil(u64::from(bytes)).saturating_mul(every)).await;
                    }
                    Ok(response)
                }
                Answer::Refuse { status, .. } => Err(CallError::Status(status)),
                Answer::Reset => Err(CallError::Reset),
                Answer::Malformed(_) => Err(CallError::Malformed),
                Answer::Empty => Err(CallError::Empty),
                Answer::Down => Err(CallError::Refused),
                Answer::Never => std::future::pending().await,
            };
            ticket.finish();
            result
        };
        match race(call, self.stub.until(true)).await {
            First::This(result) => result,
            First::That(()) => Err(CallError::Reset),
        }
    }

    /// The handle of it, without the types.
    pub fn stub(&self) -> &Stub {
        &self.stub
    }
}

impl<Req, Resp> Deref for Dependency<Req, Resp> {
    type Target = Stub;

    fn deref(&self) -> &Stub {
        &self.stub
    }
}

impl<Req, Resp> Clone for Dependency<Req, Resp> {
    fn clone(&self) -> Self {
        Dependency {
            stub: self.stub.clone(),
            handler: self.handler.clone(),
        }
    }
}

impl<Req, Resp> fmt::Debug for Dependency<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency")
            .field("stub", &self.stub)
            .finish_non_exhaustive()
    }
}
