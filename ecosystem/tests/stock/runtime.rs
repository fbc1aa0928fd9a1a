//! tokio itself: sockets, synchronisation, time, files, signals, the blocking pool, task lifetimes.
use crate::support::{Gauge, Stopwatch, listen, ms};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use tokio::sync::{Barrier, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

#[squall::test]
async fn tcp_echo_serves_many_clients() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
        }
    });

    let mut clients = JoinSet::new();
    for client in 0..8u8 {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut total = 0;
            for length in [1usize, 100, 4_000, 70_000] {
                let sent: Vec<u8> = (0..length)
                    .map(|i| client.wrapping_mul(31) ^ i as u8)
                    .collect();
                let (mut from, mut to) = stream.split();
                let mut back = vec![0; length];
                let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut back));
                wrote.unwrap();
                assert_eq!(read.unwrap(), length);
                assert!(sent == back, "client {client}: echo differs");
                total += length;
            }
            total
        });
    }
    assert_eq!(clients.join_all().await.iter().sum::<usize>(), 8 * 74_101);
}

#[squall::test]
async fn tcp_half_close_refusal_and_reset() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).await.unwrap();
        // The client has only closed its sending side: it must still hear the answer.
        stream
            .write_all(request.to_uppercase().as_bytes())
            .await
            .unwrap();
        stream.shutdown().await.unwrap();

        // Closing with unread bytes resets the connection.
        let (stream, _) = listener.accept().await.unwrap();
        // (Peeking waits for them; readiness alone may be assumed.)
        stream.peek(&mut [0; 1]).await.unwrap();
        drop(stream);
    });

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"half ").await.unwrap();
    stream.write_all(b"close").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HALF CLOSE");

    let mut stream = TcpStream::connect(address).await.unwrap();
    // The reset may come while there is still something to write.
    let error = match stream.write_all(b"never read").await {
        Ok(()) => stream.read(&mut [0; 16]).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    server.await.unwrap();
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[squall::test]
async fn tcp_sender_waits_for_a_slow_reader() {
    let (listener, address) = listen().await;
    let reader = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        sleep(ms(300)).await;
        let mut everything = Vec::new();
        stream.read_to_end(&mut everything).await.unwrap();
        everything.len()
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let watch = Stopwatch::start();
    // Far beyond what socket buffers hold, so the writer stalls until the reader wakes.
    let load = vec![7; 16 << 20];
    stream.write_all(&load).await.unwrap();
    drop(stream);
    watch.within(ms(250), ms(5_000));
    assert_eq!(reader.await.unwrap(), 16 << 20);
}

#[squall::test]
async fn udp_client_retries_until_answered() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut buffer = [0; 64];
        let mut received = 0;
        loop {
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            received += 1;
            if &buffer[..length] == b"stop" {
                return received;
            }
            // Two requests of three go unanswered.
            if received % 3 == 0 {
                server.send_to(&buffer[..length], from).await.unwrap();
            }
        }
    });

    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(address).await.unwrap();
    let watch = Stopwatch::start();
    for question in 0..3u8 {
        let mut buffer = [0; 64];
        loop {
            client.send(&[question; 5]).await.unwrap();
            match timeout(ms(40), client.recv(&mut buffer)).await {
                Ok(length) => break assert_eq!(buffer[..length.unwrap()], [question; 5]),
                Err(_) => continue,
            }
        }
    }
    watch.within(ms(6 * 40), ms(400));
    client.send(b"stop").await.unwrap();
    assert_eq!(server.await.unwrap(), 10);
}

#[squall::test]
async fn unix_sockets_stream_and_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (from, mut to) = stream.into_split();
                let mut lines = BufReader::new(from).lines();
                while let Some(line) = lines.next_line().await.unwrap() {
                    let turned: String = line.chars().rev().chain(['\n']).collect();
                    to.write_all(turned.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let mut clients = JoinSet::new();
    for client in 0..4 {
        let path = path.clone();
        clients.spawn(async move {
            let mut stream = BufReader::new(UnixStream::connect(path).await.unwrap());
            for round in 0..10 {
                stream
                    .write_all(format!("{client}-{round:02}\n").as_bytes())
                    .await
                    .unwrap();
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let expected: String = format!("{client}-{round:02}").chars().rev().collect();
                assert_eq!(line.trim_end(), expected);
            }
        });
    }
    clients.join_all().await;

    let (left, right) = UnixDatagram::pair().unwrap();
    left.send(b"one").await.unwrap();
    left.send(b"three").await.unwrap();
    let mut buffer = [0; 16];
    assert_eq!(right.recv(&mut buffer).await.unwrap(), 3);
    assert_eq!(right.recv(&mut buffer).await.unwrap(), 5);
}

#[squall::test]
async fn semaphore_and_barrier_bound_and_gather() {
    let gauge = Arc::new(Gauge::default());
    let permits = Arc::new(Semaphore::new(3));
    let barrier = Arc::new(Barrier::new(12));
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (gauge, permits, barrier) = (gauge.clone(), permits.clone(), barrier.clone());
        tasks.spawn(async move {
            {
                let _permit = permits.acquire().await.unwrap();
                let _inside = gauge.enter();
                sleep(ms(25)).await;
            }
            barrier.wait().await.is_leader()
        });
    }
    let leaders = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|leader| *leader)
        .count();
    assert_eq!(leaders, 1);
    assert_eq!(gauge.peak(), 3);
    watch.within(ms(100), ms(200));
}

#[squall::test]
async fn channels_of_every_kind() {
    // A bounded queue holds its producers back.
    let (jobs, mut queue) = mpsc::channel::<u32>(2);
    for producer in 0..4 {
        let jobs = jobs.clone();
        tokio::spawn(async move {
            for job in 0..10 {
                jobs.send(producer * 100 + job).await.unwrap();
            }
        });
    }
    drop(jobs);
    let mut last = [None; 4];
    let mut received = 0;
    while let Some(job) = queue.recv().await {
        let (producer, job) = ((job / 100) as usize, job % 100);
        assert!(
            last[producer] < Some(job),
            "each producer's jobs stay in order"
        );
        last[producer] = Some(job);
        received += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(received, 40);

    // A receiver that lags behind a broadcast hears how much it missed.
    let (news, mut slow) = broadcast::channel(4);
    for item in 0..10 {
        news.send(item).unwrap();
    }
    assert!(matches!(
        slow.recv().await,
        Err(broadcast::error::RecvError::Lagged(6))
    ));
    assert_eq!(slow.recv().await.unwrap(), 6);

    // A watch shows the latest value only; a oneshot whose sender is gone says so.
    let (set, mut seen) = watch::channel(0);
    let watcher = tokio::spawn(async move { *seen.wait_for(|v| *v >= 5).await.unwrap() });
    for value in 1..=5 {
        set.send(value).unwrap();
    }
    assert_eq!(watcher.await.unwrap(), 5);
    let (answer, question) = oneshot::channel::<()>();
    drop(answer);
    assert!(question.await.is_err());
}

#[squall::test]
async fn locks_and_notify_keep_their_promises() {
    let account = Arc::new(RwLock::new((100i64, 0i64)));
    let changed = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    for amount in 1..=8 {
        let (account, changed) = (account.clone(), changed.clone());
        tasks.spawn(async move {
            let mut pair = account.write().await;
            pair.0 -= amount;
            tokio::task::yield_now().await;
            pair.1 += amount;
            changed.notify_one();
        });
    }
    for _ in 0..4 {
        let account = account.clone();
        tasks.spawn(async move {
            let pair = account.read().await;
            assert_eq!(pair.0 + pair.1, 100, "a reader never sees half a transfer");
        });
    }
    timeout(ms(100), changed.notified())
        .await
        .expect("a writer has notified");
    tasks.join_all().await;
    assert_eq!(*account.read().await, (64, 36));
}

#[squall::test]
async fn time_intervals_and_timeouts() {
    let watch = Stopwatch::start();
    let mut ticks = interval(ms(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    ticks.tick().await;
    sleep(ms(125)).await;
    // The ticks at 100 and 150 were missed: one is delivered at once, the next falls on the grid again.
    ticks.tick().await;
    let late = Instant::now();
    ticks.tick().await;
    assert!(late.elapsed() <= ms(30), "the next tick is at 200");
    watch.within(ms(200), ms(230));

    let never = timeout(ms(250), std::future::pending::<()>());
    assert!(never.await.is_err());
    watch.within(ms(450), ms(490));

    let order = Arc::new(Mutex::new(Vec::new()));
    let mut sleepers = JoinSet::new();
    for delay in [30u64, 10, 40, 20] {
        let order = order.clone();
        sleepers.spawn(async move {
            sleep(ms(delay)).await;
            order.lock().unwrap().push(delay);
        });
    }
    sleepers.join_all().await;
    assert_eq!(*order.lock().unwrap(), [10, 20, 30, 40]);
}

#[squall::test]
async fn files_are_written_renamed_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = JoinSet::new();
    for n in 0..4u8 {
        let (draft, done) = (
            folder.path().join(format!("{n}.part")),
            folder.path().join(format!("{n}.txt")),
        );
        writers.spawn(async move {
            let mut file = tokio::fs::File::create(&draft).await.unwrap();
            for line in 0..20 {
                file.write_all(format!("file {n} line {line}\n").as_bytes())
                    .await
                    .unwrap();
            }
            file.sync_all().await.unwrap();
            tokio::fs::rename(draft, done).await.unwrap();
        });
    }
    writers.join_all().await;

    let mut names = Vec::new();
    let mut entries = tokio::fs::read_dir(folder.path()).await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["0.txt", "1.txt", "2.txt", "3.txt"]);
    let text = tokio::fs::read_to_string(folder.path().join("3.txt"))
        .await
        .unwrap();
    assert_eq!(text.lines().count(), 20);
    let absent = tokio::fs::metadata(folder.path().join("absent"))
        .await
        .unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}

#[squall::test]
async fn signals_reach_every_listener() {
    use nix::sys::signal::{Signal, raise};
    use tokio::signal::unix::{SignalKind, signal};

    let mut listeners = JoinSet::new();
    let ready = Arc::new(Barrier::new(4));
    for _ in 0..3 {
        let ready = ready.clone();
        listeners.spawn(async move {
            let mut usr1 = signal(SignalKind::user_defined1()).unwrap();
            ready.wait().await;
            usr1.recv().await.unwrap();
        });
    }
    ready.wait().await;
    raise(Signal::SIGUSR1).unwrap();
    timeout(ms(1_000), listeners.join_all())
        .await
        .expect("each listener hears the signal");
}

// Few seeds, because naming the frames of each refusal takes a tenth of a second.
#[squall::test(seeds = 20)]
async fn starting_a_process_is_refused() {
    let started = tokio::process::Command::new("true").status().await;
    // Not simulated: a clear errno for the program, and a line in the report for whoever runs the test.
    assert_eq!(started.unwrap_err().raw_os_error(), Some(nix::libc::ENOSYS));
}

#[squall::test]
async fn blocking_pool_runs_std_code() {
    let total = Arc::new((Mutex::new(0u32), std::sync::Condvar::new()));
    let watch = Stopwatch::start();
    let mut jobs = JoinSet::new();
    for job in 1..=16u32 {
        let total = total.clone();
        jobs.spawn_blocking(move || {
            std::thread::sleep(ms(u64::from(job)));
            *total.0.lock().unwrap() += job;
            total.1.notify_all();
        });
    }
    let waiter = {
        let total = total.clone();
        tokio::task::spawn_blocking(move || {
            let sum = total.0.lock().unwrap();
            *total.1.wait_while(sum, |sum| *sum < 136).unwrap()
        })
    };
    assert_eq!(waiter.await.unwrap(), 136);
    jobs.join_all().await;
    watch.within(ms(16), ms(60));
}

#[squall::test]
async fn tasks_abort_panic_and_stay_local() {
    struct CountsDrop(Arc<AtomicUsize>);
    impl Drop for CountsDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..5 {
        let guard = CountsDrop(dropped.clone());
        tasks.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
    }
    sleep(ms(5)).await;
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.unwrap_err().is_cancelled());
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 5);

    let failed = tokio::spawn(async {
        sleep(ms(1)).await;
        std::panic::resume_unwind(Box::new("expected"));
    });
    assert!(failed.await.unwrap_err().is_panic());

    let local = tokio::task::LocalSet::new();
    let shared = std::rc::Rc::new(std::cell::Cell::new(0));
    let held = shared.clone();
    local
        .run_until(async move {
            let tasks: Vec<_> = (1..=4)
                .map(|n| {
                    let held = held.clone();
                    tokio::task::spawn_local(async move {
                        sleep(ms(n)).await;
                        held.set(held.get() + n);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        })
        .await;
    assert_eq!(shared.get(), 10);

    let mut sides = [0, 0];
    for _ in 0..20 {
        tokio::select! {
            _ = std::future::ready(()) => sides[0] += 1,
            _ = std::future::ready(()) => sides[1] += 1,
        }
    }
    assert_eq!(sides[0] + sides[1], 20);
}
