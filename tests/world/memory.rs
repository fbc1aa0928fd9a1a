//! What programs that crashed leave in memory goes, what others refer to stays.

use crate::hosts::pause;
use squall::Sim;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const MS: Duration = Duration::from_millis(1);

/// Memory of the process that runs the seeds, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 4096
}

#[test]
fn ten_thousand_crashes_leave_no_threads_and_no_memory_behind() {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["memory::mayfly", "--exact", "--ignored"]);
    // The second run of an audited seed is recorded: that takes half a gigabyte here.
    let ran = again.env("SQUALL_AUDIT", "0").output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
}

#[squall::test(seeds = 1)]
#[ignore = "run by the test above"]
async fn mayfly(sim: Sim) {
    let host = sim.host_with_workers("mayfly", 2, || async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        tokio::spawn(async { pause(Duration::from_secs(3600)).await });
        loop {
            let _ = listener.accept().await.unwrap();
        }
    });
    let mut before = 0;
    for crash in 0..10_000 {
        pause(2 * MS).await;
        let attempt = TcpStream::connect((host.ip(), 80)).await;
        assert!(attempt.is_ok(), "{attempt:?}");
        host.bounce();
        if crash == 500 {
            before = resident();
        }
    }
    // 9,500 crashes; 9 MiB when this was written, and about 300 without a collection.
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < 24, "{grown} MiB");
}

/// What programs share with the test, in every way that keeps it alive: by a value that only a dead program's memory refers to, a
/// linked list, a waker, a callback, a static.
type Callback = Box<dyn Fn() -> usize + Send>;

struct Node {
    number: usize,
    text: String,
    next: Option<Box<Node>>,
}

static KEPT: std::sync::Mutex<Vec<Arc<Node>>> = std::sync::Mutex::new(Vec::new());

#[squall::test(seeds = 2, audit = 100)]
async fn what_the_living_refer_to_survives_its_maker(sim: Sim) {
    let callbacks = Arc::new(std::sync::Mutex::new(Vec::<Callback>::new()));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Box<Node>>();
    let (wake, _) = tokio::sync::watch::channel(0);
    let wake = Arc::new(wake);
    let host = sim.host_with_workers("maker", 2, {
        let (callbacks, wake) = (callbacks.clone(), wake.clone());
        move || {
            let (callbacks, tell, mut woken) = (callbacks.clone(), tell.clone(), wake.subscribe());
            async move {
                let mut number = 0;
                let mut list = move || {
                    (0..5).fold(None, |next, _| {
                        number += 1;
                        let text = format!("number {number}");
                        Some(Box::new(Node { number, text, next }))
                    })
                };
                let (a, b) = (list().unwrap(), list().unwrap());
                let (kept, garbage) = (Arc::new(*list().unwrap()), vec![1u8; 30_000]);
                KEPT.lock().unwrap().push(kept.clone());
                let large = vec![a.number; 20_000];
                callbacks.lock().unwrap().push(Box::new(move || {
                    large.iter().sum::<usize>() / large.len() + a.number
                }));
                let _ = tell.send(b);
                // Wakers of this runtime stay behind in what is shared.
                tokio::spawn(async move {
                    while woken.changed().await.is_ok() {}
                    drop(garbage);
                });
                std::future::pending::<()>().await;
            }
        }
    });
    fn sum(node: &Node) -> usize {
        assert_eq!(node.text, format!("number {}", node.number));
        node.number + node.next.as_ref().map_or(0, |next| sum(next))
    }
    for round in 0..400 {
        pause(MS).await;
        host.bounce();
        wake.send_replace(round);
    }
    for callback in callbacks.lock().unwrap().drain(..) {
        assert_eq!(callback(), 10);
    }
    let mut lists = 0;
    while let Ok(list) = told.try_recv() {
        assert_eq!(sum(&list), 6 + 7 + 8 + 9 + 10);
        lists += 1;
    }
    for kept in KEPT.lock().unwrap().drain(..) {
        assert_eq!(sum(&kept), 11 + 12 + 13 + 14 + 15);
        lists += 1;
    }
    assert!(lists > 700, "{lists}");
}
