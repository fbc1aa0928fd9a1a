//! Programs with a known bug each, as squall tests. They are ignored: `sizes` runs them by name, in processes of their own.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use squall::Sim;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

use super::program::Found;
use super::programs::PROGRAMS;

fn target(name: &str) {
    let program = PROGRAMS
        .iter()
        .find(|program| program.name == name)
        .unwrap();
    let found = Found::default();
    (program.bad)(found.clone());
    assert!(!found.load(Relaxed), "the bug shows");
}

#[squall::test]
#[ignore]
fn reorder_3() {
    target("reorder_3");
}

#[squall::test]
#[ignore]
fn reorder_5() {
    target("reorder_5");
}

#[squall::test]
#[ignore]
fn twostage() {
    target("twostage");
}

#[squall::test]
#[ignore]
fn account() {
    target("account");
}

#[squall::test]
#[ignore]
fn stack() {
    target("stack");
}

#[squall::test]
#[ignore]
fn deadlock01() {
    target("deadlock01");
}

/// Four tasks add to a counter, each reading it in one critical section and writing it in another.
#[squall::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore]
async fn lost_update() {
    let count = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let count = count.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let seen = *count.lock().await;
                    tokio::task::yield_now().await;
                    *count.lock().await = seen + 1;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*count.lock().await, 20, "an update was lost");
}

/// Three tasks that each hold one of three locks while they take the next.
#[squall::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore]
async fn lock_cycle() {
    let locks: Arc<[std::sync::Mutex<u32>; 3]> = Arc::default();
    let tasks: Vec<_> = (0..3)
        .map(|i| {
            let locks = locks.clone();
            tokio::spawn(async move {
                for _ in 0..3 {
                    let one = locks[i].lock().unwrap();
                    std::thread::yield_now();
                    let other = locks[(i + 1) % 3].lock().unwrap();
                    drop((one, other));
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// A bug that takes three things in one order, among twenty threads that have nothing to do with it.
#[squall::test]
#[ignore]
fn depth_three_in_noise() {
    let steps = Arc::new(AtomicU32::new(0));
    let wrong = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for _ in 0..20 {
        threads.push(std::thread::spawn(|| {
            (0..4).for_each(|_| std::thread::yield_now())
        }));
    }
    let (seen, found) = (steps.clone(), wrong.clone());
    threads.push(std::thread::spawn(move || {
        let before = seen.load(Relaxed);
        std::thread::yield_now();
        let between = seen.load(Relaxed);
        std::thread::yield_now();
        let after = seen.load(Relaxed);
        if (before, between, after) == (0, 1, 2) {
            found.store(true, Relaxed);
        }
    }));
    threads.push(std::thread::spawn(move || {
        for step in 1..=3 {
            steps.store(step, Relaxed);
            std::thread::yield_now();
        }
    }));
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(!wrong.load(Relaxed), "the three came in the wrong order");
}

/// A server that takes what one read gives it for a whole message.
#[squall::test(hosts = ["server"])]
#[ignore]
async fn short_read(sim: Sim) {
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        loop {
            let (mut socket, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut message = [0; 4000];
                let read = socket.read(&mut message).await.unwrap_or(0);
                let _ = socket.write_all(&message[..read]).await;
            });
        }
        #[allow(unreachable_code)]
        std::io::Result::Ok(())
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        let mut socket = TcpStream::connect("server:80").await.unwrap();
        socket.write_all(&[7; 4000]).await.unwrap();
        let mut echo = Vec::new();
        socket.read_to_end(&mut echo).await.unwrap();
        assert_eq!(echo.len(), 4000, "a message was cut short");
    }
}

/// A consumer that counts on the order in which two independent tasks send.
#[squall::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn out_of_order() {
    let (jobs, mut todo) = mpsc::channel::<u32>(4);
    for job in 0..6 {
        let jobs = jobs.clone();
        tokio::spawn(async move { jobs.send(job).await.unwrap() });
    }
    drop(jobs);
    let mut last = None;
    while let Some(job) = todo.recv().await {
        assert!(
            last.is_none_or(|last| last < job + 3),
            "jobs came out of order"
        );
        last = Some(job);
    }
}

/// Threads that have nothing to do with anything.
fn noise() {
    let threads: Vec<_> = (0..3)
        .map(|_| std::thread::spawn(|| (0..10).for_each(|_| std::thread::yield_now())))
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Which of eight threads is the first.
fn race() -> u32 {
    let first = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (1..=8)
        .map(|me| {
            let first = first.clone();
            std::thread::spawn(move || {
                std::thread::yield_now();
                let _ = first.compare_exchange(0, me, Relaxed, Relaxed);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    first.load(Relaxed)
}

/// The run is lost with its first few decisions.
#[squall::test]
#[ignore]
fn decided_early() {
    let first = race();
    noise();
    assert_ne!(first, 8, "the last one was the first");
}

/// The run is lost with its last few decisions.
#[squall::test]
#[ignore]
fn decided_late() {
    noise();
    let first = race();
    assert_ne!(first, 8, "the last one was the first");
}
