//! bb8 and deadpool, each pooling TCP connections to a small line server.
use crate::support::{Gauge, Stopwatch, listen, ms};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Answers each line with the connection's number; `quit` makes it hang up.
async fn line_server() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) && line != "quit\n" {
                    stream
                        .write_all(format!("{number}\n").as_bytes())
                        .await
                        .unwrap();
                    line.clear();
                }
            });
        }
    });
    address
}

struct Line(BufReader<TcpStream>);

impl Line {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address).await?)))
    }

    async fn ask(&mut self, question: &str) -> io::Result<u32> {
        self.0.write_all(format!("{question}\n").as_bytes()).await?;
        let mut answer = String::new();
        if self.0.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.trim().parse().map_err(io::Error::other)
    }
}

struct Lines {
    address: SocketAddr,
    opened: Arc<AtomicU32>,
}

impl bb8::ManageConnection for Lines {
    type Connection = Line;
    type Error = io::Error;
    async fn connect(&self) -> io::Result<Line> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Line::open(self.address).await
    }
    async fn is_valid(&self, line: &mut Line) -> io::Result<()> {
        line.ask("ping").await.map(drop)
    }
    fn has_broken(&self, _: &mut Line) -> bool {
        false
    }
}

impl deadpool::managed::Manager for Lines {
    type Type = Line;
    type Error = io::Error;
    async fn create(&self) -> io::Result<Line> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Line::open(self.address).await
    }
    async fn recycle(
        &self,
        line: &mut Line,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<io::Error> {
        line.ask("ping").await?;
        Ok(())
    }
}

#[squall::test]
async fn bb8_shares_three_connections_among_twelve_tasks() {
    let opened = Arc::new(AtomicU32::new(0));
    let manager = Lines {
        address: line_server().await,
        opened: opened.clone(),
    };
    let pool = bb8::Pool::builder()
        .max_size(3)
        .build(manager)
        .await
        .unwrap();
    let gauge = Arc::new(Gauge::default());
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (pool, gauge) = (pool.clone(), gauge.clone());
        tasks.spawn(async move {
            let mut line = pool.get().await.unwrap();
            let _inside = gauge.enter();
            sleep(ms(20)).await;
            line.ask("who").await.unwrap()
        });
    }
    let numbers = tasks.join_all().await;
    assert!(numbers.iter().all(|number| *number < 3));
    assert_eq!(gauge.peak(), 3);
    assert_eq!(opened.load(Ordering::SeqCst), 3);
    watch.within(ms(80), ms(160));
}

#[squall::test]
async fn bb8_times_out_and_replaces_broken_connections() {
    let opened = Arc::new(AtomicU32::new(0));
    let manager = Lines {
        address: line_server().await,
        opened: opened.clone(),
    };
    let pool = bb8::Pool::builder()
        .max_size(1)
        .connection_timeout(ms(250))
        .idle_timeout(ms(400))
        .reaper_rate(ms(100))
        .build(manager)
        .await
        .unwrap();
    let mut held = pool.get().await.unwrap();
    let watch = Stopwatch::start();
    assert!(matches!(
        pool.get().await.err(),
        Some(bb8::RunError::TimedOut)
    ));
    watch.within(ms(250), ms(290));

    // The server hangs up; the next check finds out and opens another connection.
    held.ask("quit").await.unwrap_err();
    drop(held);
    assert_eq!(pool.get().await.unwrap().ask("who").await.unwrap(), 1);
    // The reaper closes what has not been used for 400 ms.
    sleep(ms(700)).await;
    assert_eq!(pool.state().connections, 0);
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[squall::test]
async fn deadpool_waits_times_out_and_recycles() {
    use deadpool::managed::{Pool, PoolError, Timeouts};
    let opened = Arc::new(AtomicU32::new(0));
    let manager = Lines {
        address: line_server().await,
        opened: opened.clone(),
    };
    let pool: Pool<Lines> = Pool::builder(manager)
        .max_size(2)
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .unwrap();
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut line = pool.get().await.unwrap();
            sleep(ms(25)).await;
            line.ask("who").await.unwrap()
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|number| number < 2));
    watch.within(ms(100), ms(180));

    let _all = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let patience = Timeouts {
        wait: Some(ms(250)),
        ..Timeouts::default()
    };
    let watch = Stopwatch::start();
    let error = pool.timeout_get(&patience).await.err();
    assert!(matches!(error, Some(PoolError::Timeout(_))), "{error:?}");
    watch.within(ms(250), ms(290));
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}
