//! What a stock client sees of one call, as one word: the same words for every protocol, so that a table can say what is expected.

use std::io::{Error, ErrorKind};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How long clients have patience.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen, and how long that took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(pub String, pub Duration);

impl Seen {
    #[track_caller]
    pub fn is(&self, what: &str) {
        assert_eq!(self.0, what, "after {:?}", self.1);
    }
}

async fn patiently(call: impl Future<Output = Result<String, String>>) -> Seen {
    let before = Instant::now();
    let seen = match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(seen)) => seen,
        Err(_) => "timeout".to_owned(),
    };
    Seen(seen, before.elapsed())
}

fn word(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::ConnectionReset => "reset",
        ErrorKind::InvalidData => "malformed",
        ErrorKind::UnexpectedEof => "empty",
        other => return format!("{other:?}"),
    }
    .to_owned()
}

fn in_words<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|e| word(&e))
}

/// Sends a line and reads one.
pub async fn line(address: &str, text: &str) -> Seen {
    patiently(async {
        let stream = in_words(TcpStream::connect(address).await)?;
        let mut stream = BufReader::new(stream);
        in_words(stream.write_all(format!("{text}\n").as_bytes()).await)?;
        let mut reply = String::new();
        match in_words(stream.read_line(&mut reply).await)? {
            0 => Err("empty".to_owned()),
            _ => Ok(reply.trim_end().to_owned()),
        }
    })
    .await
}

/// Sends a frame and reads one, as `LengthDelimitedCodec` does.
pub async fn frame(address: &str, bytes: &[u8]) -> Seen {
    patiently(async {
        let mut stream = in_words(TcpStream::connect(address).await)?;
        let length = u32::try_from(bytes.len()).unwrap();
        in_words(stream.write_u32(length).await)?;
        in_words(stream.write_all(bytes).await)?;
        let length = in_words(stream.read_u32().await)?;
        if length > 8 << 20 {
            return Err("malformed".to_owned());
        }
        let mut reply = vec![0; length as usize];
        match stream.read_exact(&mut reply).await {
            Ok(_) => Ok(String::from_utf8_lossy(&reply).into_owned()),
            // Of the codec: "bytes remaining on stream".
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err("malformed".to_owned()),
            Err(e) => Err(word(&e)),
        }
    })
    .await
}

/// The error of the system under a library's.
fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<Error>() {
            return Some(io);
        }
        at = error.source();
    }
    None
}

fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut at = Some(error);
    while let Some(error) = at {
        text.push_str(&format!("{error}: "));
        at = error.source();
    }
    text
}

/// Gets a page by reqwest: the body, or `status 503` and the like.
pub async fn get(url: &str) -> Seen {
    let client = reqwest::Client::new();
    patiently(got(&client, url)).await
}

async fn got(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let response = async {
        let response = client.get(url).send().await?;
        let status = response.status();
        Ok::<_, reqwest::Error>((status, response.text().await?))
    };
    match response.await {
        Ok((status, body)) if status.is_success() => Ok(body),
        Ok((status, _)) => Err(format!("status {}", status.as_u16())),
        Err(error) => {
            let text = text_of(&error);
            let kind = io_error(&error).map(Error::kind);
            Err(match kind {
                Some(ErrorKind::ConnectionRefused) => "refused",
                Some(ErrorKind::ConnectionReset) => "reset",
                _ if text.contains("connection closed before message completed") => "empty",
                _ if text.to_lowercase().contains("invalid") => "malformed",
                _ => return Err(text),
            }
            .to_owned())
        }
    }
}
