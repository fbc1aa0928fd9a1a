//! Signals: each host has its own, and blocked calls notice them.

use crate::hosts::{echo, pause};
use squall::{HostState, Sim};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const MS: Duration = Duration::from_millis(1);

#[squall::test(seeds = 100, audit = 100)]
async fn each_host_hears_its_own_signals(sim: Sim) {
    use tokio::signal::unix::{SignalKind, signal};
    let graceful = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let ours = signal(SignalKind::terminate()).unwrap();
    for i in 0..3 {
        let graceful = graceful.clone();
        sim.host(&format!("server{i}"), move || {
            let graceful = graceful.clone();
            async move {
                let mut asked = signal(SignalKind::terminate()).unwrap();
                let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
                loop {
                    tokio::select! {
                        _ = asked.recv() => break,
                        c = listener.accept() => drop(c),
                    }
                }
                pause(10 * MS).await;
                graceful[i].fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let deaf = sim.host("deaf", echo);
    let seen = || [0, 1, 2].map(|i| graceful[i].load(Ordering::SeqCst));
    pause(20 * MS).await;
    sim.get("server1").shutdown();
    pause(50 * MS).await;
    assert_eq!(seen(), [0, 1, 0]);
    assert_eq!(sim.get("server1").state(), HostState::Stopped);
    assert_eq!(sim.get("server0").state(), HostState::Running);
    sim.restart("server1");
    pause(20 * MS).await;
    sim.get("server0").shutdown();
    sim.get("server1").shutdown();
    pause(50 * MS).await;
    assert_eq!(seen(), [1, 2, 0]);
    // Without a handler the process just ends.
    deaf.shutdown();
    pause(50 * MS).await;
    assert_eq!(deaf.state(), HostState::Stopped);
    // A paused one gets it later.
    sim.pause("server2");
    sim.get("server2").shutdown();
    pause(50 * MS).await;
    assert_eq!(seen(), [1, 2, 0]);
    sim.resume("server2");
    pause(50 * MS).await;
    assert_eq!(seen(), [1, 2, 1]);
    drop(ours);
}

extern "C" fn noted(_: i32) {}

/// Installs a handler that does nothing.
fn handle(signal: i32, flags: i32) {
    // SAFETY: an all-zero record is valid, and the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = noted as *const () as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

#[squall::test(seeds = 20, audit = 100)]
async fn a_handled_signal_interrupts_blocked_calls(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host_main("server", move || {
        handle(libc::SIGUSR1, libc::SA_RESTART);
        handle(libc::SIGUSR2, 0);
        let word = |r: i32| match r {
            -1 => std::io::Error::last_os_error().kind(),
            _ => ErrorKind::Other,
        };
        // SAFETY: plain calls on values that outlive them.
        let poll = || word(unsafe { libc::poll(std::ptr::null_mut(), 0, 10_000) });
        let _ = tell.send(poll());
        let began = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        // std sleeps for what is left.
        assert!(began.elapsed() >= Duration::from_secs(1));
        let _ = tell.send(ErrorKind::Other);
        let mut pair = [0; 2];
        // SAFETY: as above.
        let read = unsafe {
            libc::pipe(pair.as_mut_ptr());
            let mut byte = 0u8;
            word(libc::read(pair[0], (&raw mut byte).cast(), 1) as i32)
        };
        let _ = tell.send(read);
    });
    pause(50 * MS).await;
    assert!(told.is_empty());
    host.signal(libc::SIGUSR1);
    assert_eq!(told.recv().await, Some(ErrorKind::Interrupted));
    pause(500 * MS).await;
    host.signal(libc::SIGUSR1);
    assert_eq!(told.recv().await, Some(ErrorKind::Other));
    pause(50 * MS).await;
    host.signal(libc::SIGUSR1);
    pause(50 * MS).await;
    assert!(told.is_empty());
    host.signal(libc::SIGUSR2);
    assert_eq!(told.recv().await, Some(ErrorKind::Interrupted));
}
