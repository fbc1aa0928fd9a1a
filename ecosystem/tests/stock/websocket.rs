//! tokio-tungstenite on both sides: a chat room, keep-alive pings, the closing handshake, a protocol error.
use crate::support::{Stopwatch, listen, ms};
use futures::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr) -> Socket {
    connect_async(format!("ws://{address}/room"))
        .await
        .unwrap()
        .0
}

/// Every text goes to every guest; a guest silent for `patience` is pinged, and sent away if it stays silent.
async fn chat_room(patience: Duration) -> SocketAddr {
    let (listener, address) = listen().await;
    let (room, _) = broadcast::channel::<String>(64);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (room, mut news) = (room.clone(), room.subscribe());
            tokio::spawn(async move {
                let mut guest = accept_async(stream).await.unwrap();
                let mut silent = false;
                loop {
                    tokio::select! {
                        said = timeout(patience, guest.next()) => match said {
                            Ok(Some(Ok(Message::Text(text)))) => drop(room.send(text.to_string())),
                            Ok(Some(Ok(Message::Pong(_)))) => silent = false,
                            Ok(Some(Ok(_))) => {}
                            Ok(_) => return,
                            Err(_) if silent => {
                                let reason = CloseFrame { code: CloseCode::Policy, reason: "too quiet".into() };
                                let _ = guest.close(Some(reason)).await;
                                // Hanging up on what is still on its way would reset the connection, and the
                                // guest might never read the reason.
                                while let Ok(Some(Ok(_))) = timeout(patience, guest.next()).await {}
                                return;
                            }
                            Err(_) => {
                                silent = true;
                                guest.send(Message::Ping("there?".into())).await.unwrap();
                            }
                        },
                        Ok(text) = news.recv() => guest.send(Message::text(text)).await.unwrap(),
                    }
                }
            });
        }
    });
    address
}

#[squall::test]
async fn a_chat_room_tells_everyone_the_same_story() {
    let address = chat_room(ms(1_000)).await;
    let (mut talkers, mut here) = (Vec::new(), 0);
    for _ in 0..4 {
        let mut socket = connect(address).await;
        socket.send(Message::text("hello")).await.unwrap();
        // Hearing one's own hello shows that the room has subscribed us.
        loop {
            if socket.next().await.unwrap().unwrap().to_text().unwrap() == "hello" {
                break;
            }
        }
        here += 1;
        talkers.push(socket);
    }
    // Those who came earlier have heard the later hellos too.
    for (n, talker) in talkers.iter_mut().enumerate() {
        for _ in n + 1..here {
            assert_eq!(
                talker.next().await.unwrap().unwrap(),
                Message::text("hello")
            );
        }
    }

    let mut guests = JoinSet::new();
    for (n, socket) in talkers.into_iter().enumerate() {
        guests.spawn(async move {
            let (mut say, mut hear) = socket.split();
            let speech = async {
                for word in 0..5 {
                    say.send(Message::text(format!("{n}.{word}")))
                        .await
                        .unwrap();
                    sleep(ms(3)).await;
                }
            };
            let story = async {
                let mut story = Vec::new();
                while story.len() < 20 {
                    story.push(
                        hear.next()
                            .await
                            .unwrap()
                            .unwrap()
                            .into_text()
                            .unwrap()
                            .to_string(),
                    );
                }
                story
            };
            let ((), story) = tokio::join!(speech, story);
            say.close().await.unwrap();
            story
        });
    }
    let stories = guests.join_all().await;
    assert!(
        stories.iter().all(|story| *story == stories[0]),
        "{stories:#?}"
    );
    for n in 0..4 {
        let own = stories[0]
            .iter()
            .filter(|word| word.starts_with(&format!("{n}.")));
        assert!(own.is_sorted(), "what one guest says stays in order");
    }
}

#[squall::test]
async fn a_silent_guest_is_pinged_and_an_absent_one_sent_away() {
    let address = chat_room(ms(100)).await;
    // This one answers pings, because reading from the socket does so by itself.
    let mut polite = connect(address).await;
    let polite = tokio::spawn(async move {
        let mut pings = 0;
        while pings < 3 {
            if polite.next().await.unwrap().unwrap().is_ping() {
                pings += 1;
            }
        }
        polite.close(None).await.unwrap();
    });
    // This one does not read at all.
    let mut absent = connect(address).await;
    let watch = Stopwatch::start();
    sleep(ms(250)).await;
    assert!(absent.next().await.unwrap().unwrap().is_ping());
    let Message::Close(Some(reason)) = absent.next().await.unwrap().unwrap() else {
        panic!("not closed")
    };
    assert_eq!(
        (reason.code, reason.reason.as_str()),
        (CloseCode::Policy, "too quiet")
    );
    polite.await.unwrap();
    watch.within(ms(250), ms(420));
}

#[squall::test]
async fn large_messages_are_fragmented_and_wrong_handshakes_fail() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
        // The client, having said its farewell, waits for the server to hang up.
        drop(socket);
        let (mut stream, _) = listener.accept().await.unwrap();
        // Not a word of WebSocket; then wait for the client to turn away.
        let refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let mut socket = connect(address).await;
    for size in [0usize, 125, 126, 65_536, 300_000] {
        let sent: Vec<u8> = (0..size).map(|n| (n * 7) as u8).collect();
        socket.send(Message::binary(sent.clone())).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().into_data() == sent);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close());
    }
    let error = connect_async(format!("ws://{address}/")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Http(reply) if reply.status() == 404),
        "{error:?}"
    );
}
