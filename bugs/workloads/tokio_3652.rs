//! tokio's `Notify`: a worker that is told of new jobs, and listens to an operator besides. A producer announces each job with
//! `notify_one`; a supervisor now and then has everybody look with `notify_waiters`.
//!
//! Property: every job that was announced is done.

use crate::support::{self, draw, up_to};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

#[derive(Default)]
struct Jobs {
    waiting: Mutex<VecDeque<u32>>,
    news: Notify,
}

/// Does what there is to do whenever it is told of something, and writes down what the operator says in between.
async fn work(
    jobs: Arc<Jobs>,
    mut operator: mpsc::UnboundedReceiver<u64>,
    done: mpsc::UnboundedSender<u32>,
) {
    let mut said = 0;
    loop {
        tokio::select! {
            _ = jobs.news.notified() => loop {
                let job = jobs.waiting.lock().unwrap().pop_front();
                match job {
                    Some(job) => { let _ = done.send(job); }
                    None => break,
                }
            },
            Some(word) = operator.recv() => said += word,
        }
        if draw(4) == 0 {
            sleep(up_to(1)).await;
        }
        assert!(said < u64::MAX);
    }
}

async fn clients() -> Result<(), String> {
    const JOBS: u32 = 6;
    let jobs = Arc::new(Jobs::default());
    let (operator, told) = mpsc::unbounded_channel();
    let (done, mut results) = mpsc::unbounded_channel();
    tokio::spawn(work(jobs.clone(), told, done));
    let produce = jobs.clone();
    tokio::spawn(async move {
        for job in 0..JOBS {
            sleep(up_to(3)).await;
            produce.waiting.lock().unwrap().push_back(job);
            produce.news.notify_one();
        }
    });
    tokio::spawn(async move {
        for word in 0..6 {
            sleep(up_to(3)).await;
            if operator.send(word).is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    });
    tokio::spawn(async move {
        for _ in 0..6 {
            sleep(up_to(3)).await;
            jobs.news.notify_waiters();
        }
    });
    let all = tokio::spawn(async move {
        for _ in 0..JOBS {
            results.recv().await;
        }
    });
    match timeout(Duration::from_secs(60), all).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("a job was announced a minute ago, and nobody does it".to_owned()),
    }
}

// The operator keeps its end of the channel.
#[squall::test(allow = "stalled_task")]
async fn announced_jobs(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
