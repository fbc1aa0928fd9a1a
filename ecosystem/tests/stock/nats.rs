//! async-nats against a server written here: enough of the NATS text protocol for subscriptions, queue groups, requests
//! and a reconnect.
use crate::support::{Stopwatch, listen, ms};
use async_nats::{Client, ConnectOptions, Event};
use bytes::Bytes;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// One subscription of one connection.
struct Interest {
    subject: String,
    queue: Option<String>,
    wire: mpsc::UnboundedSender<Vec<u8>>,
}

/// Keyed by connection and subscription id, so that delivery order does not depend on hashing.
type Interests = Arc<Mutex<BTreeMap<(u32, String), Interest>>>;

/// Accepts connections until the test ends. Sending on the returned channel drops those that are open.
async fn nats_server() -> (SocketAddr, watch::Sender<()>) {
    let (listener, address) = listen().await;
    let (hang_up, told) = watch::channel(());
    let interests = Interests::default();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (interests, mut told) = (interests.clone(), told.clone());
            told.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = talk(connection, stream, interests.clone()) => {}
                    _ = told.changed() => {}
                }
                interests
                    .lock()
                    .unwrap()
                    .retain(|(owner, _), _| *owner != connection);
            });
        }
    });
    (address, hang_up)
}

/// Whether `subject` matches `pattern`, in which `*` stands for one token and a last `>` for the rest.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for part in pattern.split('.') {
        match (part, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

async fn talk(connection: u32, stream: TcpStream, interests: Interests) -> std::io::Result<()> {
    let (from, mut to) = stream.into_split();
    let (wire, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
    let writer = async {
        while let Some(bytes) = outgoing.recv().await {
            to.write_all(&bytes).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let info = concat!(
        r#"INFO {"server_id":"T","server_name":"test","version":"2.10.0","go":"","host":"127.0.0.1","port":4222,"#,
        r#""headers":true,"max_payload":1048576,"proto":1,"client_id":1}"#,
        "\r\n"
    );
    let _ = wire.send(info.into());
    let reader = async {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        while from.read_line(&mut line).await? > 0 {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["PING"] => drop(wire.send(b"PONG\r\n".to_vec())),
                ["SUB", subject, ref queue @ .., id] => {
                    let interest = Interest {
                        subject: subject.into(),
                        queue: queue.first().map(|queue| queue.to_string()),
                        wire: wire.clone(),
                    };
                    interests
                        .lock()
                        .unwrap()
                        .insert((connection, id.into()), interest);
                }
                ["UNSUB", id, ..] => {
                    drop(interests.lock().unwrap().remove(&(connection, id.into())))
                }
                ["PUB", subject, ref reply @ .., length] => {
                    let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                    from.read_exact(&mut payload).await?;
                    let interests = interests.lock().unwrap();
                    let mut served = Vec::new();
                    for ((_, id), interest) in interests
                        .iter()
                        .filter(|(_, i)| matches(&i.subject, subject))
                    {
                        // One member of each queue group gets it.
                        if let Some(queue) = &interest.queue {
                            if served.contains(queue) {
                                continue;
                            }
                            served.push(queue.clone());
                        }
                        let reply = reply
                            .first()
                            .map(|reply| format!("{reply} "))
                            .unwrap_or_default();
                        let mut message =
                            format!("MSG {subject} {id} {reply}{length}\r\n").into_bytes();
                        message.extend(&payload);
                        let _ = interest.wire.send(message);
                    }
                }
                ["CONNECT", ..] | ["PONG"] => {}
                _ => panic!("the test server does not know {line:?}"),
            }
            line.clear();
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! { done = reader => done, done = writer => done }
}

/// Waits until the server knows of all that `client` has sent so far; `flush` only says that it is on its way.
async fn settle(client: &Client) {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    echo.next().await.unwrap();
}

async fn connect(address: SocketAddr) -> Client {
    async_nats::connect(format!("nats://{address}"))
        .await
        .unwrap()
}

#[squall::test]
async fn subjects_wildcards_and_queue_groups() {
    let (address, _server) = nats_server().await;
    let (listener, speaker) = (connect(address).await, connect(address).await);
    let all = listener.subscribe("orders.>").await.unwrap();
    let one = listener.subscribe("orders.*.paid").await.unwrap();
    let members = [
        listener
            .queue_subscribe("orders.>", "billing".into())
            .await
            .unwrap(),
        listener
            .queue_subscribe("orders.>", "billing".into())
            .await
            .unwrap(),
    ];
    settle(&listener).await;

    for n in 0..6 {
        let state = if n % 2 == 0 { "paid" } else { "open" };
        speaker
            .publish(format!("orders.{n}.{state}"), Bytes::from(vec![n; 1_000]))
            .await
            .unwrap();
    }
    speaker.flush().await.unwrap();
    let bytes = |messages: Vec<async_nats::Message>| {
        messages.iter().map(|m| m.payload[999]).collect::<Vec<_>>()
    };
    assert_eq!(bytes(all.take(6).collect().await), [0, 1, 2, 3, 4, 5]);
    assert_eq!(bytes(one.take(3).collect().await), [0, 2, 4]);
    let mut together = futures::stream::select_all(members)
        .take(6)
        .collect::<Vec<_>>()
        .await;
    together.sort_by_key(|message| message.payload[0]);
    assert_eq!(bytes(together), [0, 1, 2, 3, 4, 5]);
}

#[squall::test]
async fn requests_are_answered_or_time_out() {
    let (address, _server) = nats_server().await;
    let service = connect(address).await;
    let mut questions = service.subscribe("square").await.unwrap();
    settle(&service).await;
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let service = service.clone();
            tokio::spawn(async move {
                let n: u64 = std::str::from_utf8(&question.payload)
                    .unwrap()
                    .parse()
                    .unwrap();
                sleep(ms(n)).await;
                service
                    .publish(question.reply.unwrap(), (n * n).to_string().into())
                    .await
                    .unwrap();
            });
        }
    });

    let client = ConnectOptions::new()
        .request_timeout(Some(ms(250)))
        .connect(format!("nats://{address}"))
        .await
        .unwrap();
    let watch = Stopwatch::start();
    let mut requests = JoinSet::new();
    for n in 1..=10u64 {
        let client = client.clone();
        requests.spawn(async move {
            let answer = client
                .request("square", n.to_string().into())
                .await
                .unwrap();
            assert_eq!(answer.payload, (n * n).to_string());
        });
    }
    requests.join_all().await;
    watch.within(ms(10), ms(100));

    let watch = Stopwatch::start();
    let late = client.request("square", "9000".into()).await.unwrap_err();
    assert_eq!(late.kind(), async_nats::client::RequestErrorKind::TimedOut);
    watch.within(ms(250), ms(290));
}

#[squall::test]
async fn a_client_reconnects_and_subscribes_again() {
    let (address, hang_up) = nats_server().await;
    let (tell, mut events) = mpsc::unbounded_channel();
    let client = ConnectOptions::new()
        .event_callback(move |event| {
            let _ = tell.send(event);
            std::future::ready(())
        })
        .reconnect_delay_callback(|attempt| ms(100 * attempt as u64))
        .connect(format!("nats://{address}"))
        .await
        .unwrap();
    let mut news = client.subscribe("news").await.unwrap();
    client.publish("news", "one".into()).await.unwrap();
    assert_eq!(news.next().await.unwrap().payload, "one");

    hang_up.send(()).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(events.recv().await.unwrap());
    }
    assert!(
        matches!(
            seen[..],
            [Event::Connected, Event::Disconnected, Event::Connected]
        ),
        "{seen:?}"
    );
    client.publish("news", "two".into()).await.unwrap();
    assert_eq!(news.next().await.unwrap().payload, "two");
}
