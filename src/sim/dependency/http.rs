//! A dependency that speaks HTTP/1.1, by hyper's server. Failures below HTTP are done to the connection: hyper gives it back
//! when the service refuses to answer, and [`Drips`] slows down what hyper writes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use super::super::Sim;
use super::admit::{Answer, Ticket};
use super::behaviour::Behaviour;
use super::server::{self, Wire};
use super::stub::Stub;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Sim {
    /// A service on a host of its own that speaks HTTP/1.1 (feature `http`). `service` is what it does when it works: an
    /// `axum::Router`, anything else that is a tower service, or [`http_fn`](crate::dependency::http_fn) around a function. A failing call does not reach it.
    ///
    /// ```no_run
    /// # fn example(sim: squall::Sim) {
    /// use squall::dependency::http_fn;
    /// use squall::{Behaviour, FailureMode};
    /// let payments = sim.http_dependency("payments", 80, Behaviour::healthy(), http_fn(|request| async move {
    ///     format!("paid {}", request.uri().path())
    /// }));
    /// payments.break_with(FailureMode::Status(503));
    /// # }
    /// ```
    ///
    /// # Panics
    /// As [`Sim::line_dependency`].
    #[track_caller]
    pub fn http_dependency<S, B>(
        &self,
        name: &str,
        port: u16,
        behaviour: Behaviour,
        service: S,
    ) -> Stub
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let stub = Stub::new(name, true, behaviour);
        super::register(&stub);
        let served = stub.clone();
        self.host(name, move || {
            // Called from one thread at a time, but shared by them.
            let service = service.clone();
            server::serve(served.clone(), port, move |stub, wire, client| {
                connection(stub, wire, client, service.clone())
            })
        });
        stub
    }
}

/// A function as the service of [`Sim::http_dependency`]: it gets each request with its whole body, and returns a response, or a
/// body alone (text or bytes, with status 200).
pub fn http_fn<F, Fut>(reply: F) -> HttpFn<F>
where
    F: Fn(Request<Bytes>) -> Fut,
    Fut: Future,
    Fut::Output: Into<Reply>,
{
    HttpFn(Arc::new(reply))
}

/// What [`http_fn`] returns.
#[derive(Debug)]
pub struct HttpFn<F>(Arc<F>);

impl<F> Clone for HttpFn<F> {
    fn clone(&self) -> Self {
        HttpFn(self.0.clone())
    }
}

/// What the function of [`http_fn`] may return.
#[derive(Debug)]
pub struct Reply(Response<Whole>);

/// A body that is there as a whole.
#[derive(Debug)]
pub struct Whole(Option<Bytes>);

impl<B: Into<Bytes>> From<Response<B>> for Reply {
    fn from(response: Response<B>) -> Reply {
        Reply(response.map(|body| Whole(Some(body.into()))))
    }
}

macro_rules! bodies {
    ($($t:ty),*) => { $(impl From<$t> for Reply {
        fn from(body: $t) -> Reply {
            Response::new(Bytes::from(body)).into()
        }
    })* };
}
bodies!(String, &'static str, Vec<u8>, Bytes);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.0.take().filter(|body| !body.is_empty());
        Poll::Ready(body.map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |body| body.len() as u64))
    }
}

impl<F, Fut> Service<Request<Incoming>> for HttpFn<F>
where
    F: Fn(Request<Bytes>) -> Fut + Send + Sync + 'static,
    Fut: Future + Send,
    Fut::Output: Into<Reply>,
{
    type Response = Response<Whole>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Whole>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let reply = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = whole(body).await?;
            let reply: Reply = reply(Request::from_parts(head, body.into())).await.into();
            Ok(reply.0)
        })
    }
}

/// Everything of a body.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}

/// How a connection ends that was not answered.
#[derive(Debug, thiserror::Error)]
#[error("the dependency does not answer")]
struct Unanswered;

/// What the service and the connection under it share.
#[derive(Default)]
struct Shared {
    /// So many bytes at a time, each in so many nanoseconds.
    drip: Option<(u32, u64)>,
    /// The call that is being answered.
    answering: Option<Ticket>,
    /// Its body has been handed over.
    handed: bool,
    /// How the connection is to end.
    ending: Option<(Ending, Ticket)>,
}

enum Ending {
    Reset,
    Bytes(&'static [u8]),
    Close,
}

/// Used by one task alone.
#[derive(Clone, Default)]
struct Exchange(Arc<Mutex<Shared>>);

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connection.
async fn connection<S, B>(stub: Stub, wire: Wire, client: u16, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let exchange = Exchange::default();
    let shared = exchange.clone();
    // hyper wants to move it.
    let service = Box::new(service);
    let answer = service_fn(move |request| {
        let service = S::clone(&service);
        Box::pin(answer(
            stub.clone(),
            shared.clone(),
            client,
            service,
            request,
        ))
    });
    let io = Drips {
        wire,
        exchange: exchange.clone(),
        pause: None,
    };
    let mut connection = hyper::server::conn::http1::Builder::new().serve_connection(io, answer);
    // Without the shutdown, which would close in order what may have to be reset.
    let served = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let ending = exchange.lock().ending.take();
    let mut wire = connection.into_parts().io.wire;
    let Some((ending, ticket)) = ending else {
        // Either side has closed it in order, or the client broke off, or the service itself failed.
        if served.is_err() {
            wire.reset();
        }
        return;
    };
    match ending {
        Ending::Reset => wire.reset(),
        Ending::Bytes(bytes) => {
            if wire.write(bytes, None).await.is_err() {
                return;
            }
        }
        Ending::Close => {}
    }
    drop(wire);
    ticket.finish();
}

/// Answers one request as the stub says.
async fn answer<S, B>(
    stub: Stub,
    exchange: Exchange,
    client: u16,
    mut service: S,
    request: Request<Incoming>,
) -> Result<Response<Answered<B>>, BoxError>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
{
    let what = format!("{} {}", request.method(), request.uri());
    let (ticket, answer) = stub.admit(what, client).await;
    if let Answer::Serve { drip } = answer {
        let ready = poll_fn(|cx| service.poll_ready(cx)).await;
        ready.map_err(Into::into)?;
        let response = service.call(request).await.map_err(Into::into)?;
        let response = response.map(|body| Content::Service(Box::pin(body)));
        return Ok(exchange.answers(ticket, response, drip));
    }
    // A connection that is closed before everything was read is reset instead.
    whole(request.into_body()).await?;
    let ending = match answer {
        Answer::Refuse { status, again } => {
            let response = refusal(stub.name(), status, again)?;
            return Ok(exchange.answers(ticket, response.map(Content::Refusal), None));
        }
        Answer::Reset | Answer::Down => Ending::Reset,
        Answer::Malformed(kind) => Ending::Bytes(malformed(kind)),
        Answer::Empty => Ending::Close,
        // hyper drops this, and the ticket with it, when the client has gone.
        Answer::Never | Answer::Serve { .. } => std::future::pending().await,
    };
    exchange.lock().ending = Some((ending, ticket));
    Err(Unanswered.into())
}

/// A refusal by status; after so many nanoseconds the client may try again, if that is known.
fn refusal(name: &str, status: u16, again: Option<u64>) -> Result<Response<Whole>, BoxError> {
    let status = StatusCode::from_u16(status)?;
    let text = format!("{name}: {status}\n");
    let mut response = Response::new(Whole(Some(text.into())));
    *response.status_mut() = status;
    if let Some(ns) = again {
        let seconds = ns.div_ceil(1_000_000_000);
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// What no HTTP parser takes, of one of several kinds.
fn malformed(kind: u64) -> &'static [u8] {
    match kind {
        0 => b"HTTP/1.1 2\xff0 OK\r\ncontent-length: 0\r\n\r\n",
        1 => b"HTTP/1.1 200 OK\r\ncontent-length: twelve\r\n\r\ntwelve bytes",
        _ => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nnot a chunk\r\n",
    }
}

impl Exchange {
    /// The response is about to be written.
    fn answers<B: Body>(
        &self,
        ticket: Ticket,
        response: Response<Content<B>>,
        drip: Option<(u32, u64)>,
    ) -> Response<Answered<B>> {
        *self.lock() = Shared {
            drip,
            answering: Some(ticket),
            handed: false,
            ending: None,
        };
        response.map(|content| Answered {
            content,
            exchange: self.clone(),
        })
    }
}

/// A response's body, of the service or of a refusal, that tells when it has been handed over.
struct Answered<B> {
    content: Content<B>,
    exchange: Exchange,
}

enum Content<B> {
    Service(Pin<Box<B>>),
    Refusal(Whole),
}

impl<B> Drop for Answered<B> {
    fn drop(&mut self) {
        // hyper drops it when it has all of it, or with the connection, which will write nothing more then.
        self.exchange.lock().handed = true;
    }
}

impl<B> Body for Answered<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.content {
            Content::Service(body) => body.as_mut().poll_frame(cx).map_err(Into::into),
            Content::Refusal(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service(body) => body.is_end_stream(),
            Content::Refusal(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service(body) => body.size_hint(),
            Content::Refusal(body) => body.size_hint(),
        }
    }
}

/// A connection under hyper that drips where it is told to, and ends a call when its answer is written.
struct Drips {
    wire: Wire,
    exchange: Exchange,
    /// Until the next piece.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Read for Drips {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; 8192];
        let size = piece.len().min(cursor.remaining());
        let mut buffer = ReadBuf::new(&mut piece[..size]);
        ready!(Pin::new(&mut self.wire.stream).poll_read(cx, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Drips {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let drip = self.exchange.lock().drip;
        let Some((piece, every)) = drip else {
            return Pin::new(&mut self.wire.stream).poll_write(cx, bytes);
        };
        let pause = self.pause.get_or_insert_with(|| {
            let every = std::time::Duration::from_nanos(every);
            Box::pin(tokio::time::sleep(every))
        });
        ready!(pause.as_mut().poll(cx));
        let piece = bytes.len().min(piece as usize);
        let written = ready!(Pin::new(&mut self.wire.stream).poll_write(cx, &bytes[..piece]))?;
        self.pause = None;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.wire.stream).poll_flush(cx))?;
        let answered = {
            let mut shared = self.exchange.lock();
            if shared.handed {
                shared.answering.take()
            } else {
                None
            }
        };
        if let Some(ticket) = answered {
            ticket.finish();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire.stream).poll_shutdown(cx)
    }
}
