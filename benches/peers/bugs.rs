//! The bugs among tasks, as programs for tokio. As `programs.rs`, each peer that permutes tokio's tasks takes this file in as its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::Mutex;

/// The bug has shown. A deadlock shows by itself.
pub type Found = Arc<AtomicBool>;

pub async fn lost_update_tasks(found: Found) {
    let number = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let number = number.clone();
            tokio::spawn(async move {
                let seen = *number.lock().await;
                *number.lock().await = seen + 1;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    found.store(*number.lock().await != 2, SeqCst);
}

pub async fn lock_cycle_tasks() {
    let locks: [_; 3] = std::array::from_fn(|_| Arc::new(Mutex::new(())));
    let tasks: Vec<_> = (0..3)
        .map(|i| {
            let (first, second) = (locks[i].clone(), locks[(i + 1) % 3].clone());
            tokio::spawn(async move {
                let _first = first.lock().await;
                let _second = second.lock().await;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// Wrong if they come as: a opens, b sees it, c sees that, a has not closed yet.
pub async fn order_tasks(found: Found) {
    let steps = Arc::new(Mutex::new([false; 3]));
    let mut tasks = Vec::new();
    for _ in 0..common::NOISE {
        tasks.push(tokio::spawn(async {
            let own = Mutex::new(0);
            for _ in 0..common::NOISE_STEPS {
                *own.lock().await += 1;
            }
        }));
    }
    let (a, b, c) = (steps.clone(), steps.clone(), steps);
    tasks.push(tokio::spawn(async move {
        a.lock().await[0] = true;
        let mut a = a.lock().await;
        found.store(a[2], SeqCst);
        a[0] = false;
    }));
    tasks.push(tokio::spawn(async move {
        let mut b = b.lock().await;
        b[1] = b[0];
    }));
    tasks.push(tokio::spawn(async move {
        let mut c = c.lock().await;
        c[2] = c[1];
    }));
    for task in tasks {
        task.await.expect("no panic");
    }
}
