//! Clocks that jump and descriptors that run out, on one host and not on others.

use squall::Sim;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::{TcpListener, TcpStream};

const MS: Duration = Duration::from_millis(1);

#[squall::test(seeds = 20, audit = 100)]
async fn the_wall_clock_of_one_host_jumps(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host("clock", move || {
        let tell = tell.clone();
        async move {
            let began = Instant::now();
            loop {
                let _ = tell.send((SystemTime::now(), began.elapsed()));
                tokio::time::sleep(10 * MS).await;
            }
        }
    });
    let hour = Duration::from_secs(3600);
    told.recv().await.unwrap();
    host.jump_clock_back(hour);
    let (wall, _) = told.recv().await.unwrap();
    let behind = SystemTime::now().duration_since(wall).unwrap();
    assert!(behind >= hour && behind < hour + 10 * MS, "{behind:?}");
    host.jump_clock_forward(3 * hour);
    let (wall, ran) = told.recv().await.unwrap();
    let ahead = wall.duration_since(SystemTime::now()).unwrap();
    assert!(ahead <= 2 * hour && ahead > 2 * hour - 10 * MS, "{ahead:?}");
    // Its monotonic clock does not jump.
    assert!(ran < 100 * MS, "{ran:?}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn descriptors_run_out_and_come_back(sim: Sim) {
    let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
    let here = sim.get("test");
    here.limit_descriptors(0);
    let e = TcpStream::connect("127.0.0.1:80").await.unwrap_err();
    assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
    // Another host has its own.
    sim.host("client", || async {
        TcpStream::connect("test:80").await.unwrap();
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(100 * MS).await;
    let e = listener.accept().await.unwrap_err();
    assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
    here.limit_descriptors(1024);
    listener.accept().await.unwrap();
}

/// Reports, each ten milliseconds of its own, what the clocks of its host show: wall and monotonic, since they were first read.
async fn clocks(tell: tokio::sync::mpsc::UnboundedSender<(f64, f64)>) {
    let (wall, monotonic) = (SystemTime::now(), Instant::now());
    loop {
        tokio::time::sleep(10 * MS).await;
        let walked = wall.elapsed().unwrap_or_default();
        let _ = tell.send((walked.as_secs_f64(), monotonic.elapsed().as_secs_f64()));
    }
}

#[squall::test(seeds = 5, audit = 100)]
async fn clocks_drift_and_are_slewed(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host("clock", move || clocks(tell.clone()));
    told.recv().await.unwrap();
    let (first, _) = told.recv().await.unwrap();
    host.drift_clock(100_000);
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut last = (0.0, 0.0);
    while let Ok(seen) = told.try_recv() {
        last = seen;
    }
    let took = began.elapsed().as_secs_f64();
    let (wall, monotonic) = (last.0 - first, last.1);
    assert!((wall / took - 1.1).abs() < 0.02, "{wall} {took}");
    assert!((monotonic / took - 1.0).abs() < 0.02, "{monotonic} {took}");
    // Slewed, the monotonic clock goes along, and so do timers: a sleep is never seen to be too short.
    host.drift_clock(0);
    host.slew_clocks(-500);
    let (_, before) = told.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    while let Ok(seen) = told.try_recv() {
        last = seen;
    }
    let lost = 20.0 - (last.1 - before);
    assert!((0.009..0.025).contains(&lost), "{lost}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn a_suspended_machine_misses_no_monotonic_time(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host("laptop", move || clocks(tell.clone()));
    told.recv().await.unwrap();
    host.suspend();
    assert_eq!(host.state(), squall::HostState::Paused);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    while told.try_recv().is_ok() {}
    host.resume();
    let (wall, monotonic) = told.recv().await.unwrap();
    assert!(wall > 3600.0, "{wall}");
    assert!(monotonic < 0.1, "{monotonic}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn timers_on_the_wall_clock_follow_a_jump(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host_main("cron", move || {
        let timer = |cancel: bool| {
            // SAFETY: plain system calls on values that live for as long as the calls.
            unsafe {
                let fd = libc::timerfd_create(libc::CLOCK_REALTIME, 0);
                let mut now: libc::timespec = std::mem::zeroed();
                libc::clock_gettime(libc::CLOCK_REALTIME, &mut now);
                let mut when: libc::itimerspec = std::mem::zeroed();
                when.it_value = now;
                when.it_value.tv_sec += 600;
                let flags = if cancel {
                    libc::TFD_TIMER_CANCEL_ON_SET
                } else {
                    0
                };
                let r = libc::timerfd_settime(
                    fd,
                    libc::TFD_TIMER_ABSTIME | flags,
                    &when,
                    std::ptr::null_mut(),
                );
                assert_eq!(r, 0);
                fd
            }
        };
        let began = Instant::now();
        let (plain, cancelled) = (timer(false), timer(true));
        let read = |fd: i32| {
            let mut n = 0u64;
            // SAFETY: eight bytes are writable.
            let r = unsafe { libc::read(fd, (&raw mut n).cast(), 8) };
            match r {
                8 => Ok(n),
                _ => Err(std::io::Error::last_os_error().raw_os_error()),
            }
        };
        let first = read(cancelled);
        let _ = tell.send((first, began.elapsed()));
        let _ = tell.send((read(plain), began.elapsed()));
    });
    tokio::time::sleep(100 * MS).await;
    host.jump_clock_forward(Duration::from_secs(500));
    let (r, took) = told.recv().await.unwrap();
    assert_eq!(r, Err(Some(libc::ECANCELED)));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let (r, took) = told.recv().await.unwrap();
    assert_eq!(r, Ok(1));
    let took = took.as_secs_f64();
    assert!((99.9..100.1).contains(&took), "{took}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn ports_files_and_buffers_run_out(sim: Sim) {
    let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
        }
    });
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host("client", move || {
        let tell = tell.clone();
        async move {
            let mut kept = Vec::new();
            loop {
                let r = TcpStream::connect("test:80").await.map(|c| kept.push(c));
                let _ = tell.send(r.map_err(|e| e.raw_os_error()));
                tokio::time::sleep(10 * MS).await;
            }
        }
    });
    let mut next = async || {
        while told.try_recv().is_ok() {}
        told.recv().await.unwrap()
    };
    assert_eq!(next().await, Ok(()));
    host.limit_ports(0);
    assert_eq!(next().await, Err(Some(libc::EADDRNOTAVAIL)));
    host.limit_ports(u16::MAX);
    host.limit_open_files(1);
    assert_eq!(next().await, Err(Some(libc::ENFILE)));
    host.limit_open_files(u32::MAX);
    host.limit_buffers(0);
    assert_eq!(next().await, Err(Some(libc::ENOBUFS)));
    host.limit_buffers(u32::MAX);
    assert_eq!(next().await, Ok(()));
}

#[squall::test(seeds = 20, audit = 100)]
async fn small_buffers_hold_back_the_sender(sim: Sim) {
    use tokio::io::AsyncWriteExt;
    let host = sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
        }
    });
    let here = sim.get("test");
    tokio::time::sleep(10 * MS).await;
    let mut taken = Vec::new();
    for limit in [u32::MAX, 8192] {
        host.limit_buffers(limit);
        here.limit_buffers(limit);
        let mut c = TcpStream::connect("server:80").await.unwrap();
        let mut sent = 0;
        while let Ok(Ok(n)) = tokio::time::timeout(1000 * MS, c.write(&[0; 1000])).await {
            sent += n;
        }
        taken.push(sent);
    }
    assert!(taken[0] > 300_000 && taken[1] <= 2 * 8192, "{taken:?}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn one_thread_of_a_host_is_starved(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host_main("server", move || {
        for name in ["fast", "slow"] {
            let tell = tell.clone();
            let work = move || {
                while tell.send(name).is_ok() {
                    std::thread::sleep(10 * MS);
                }
            };
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .unwrap();
        }
        std::thread::sleep(Duration::from_secs(3600));
    });
    let mut count = async |time: Duration| {
        while told.try_recv().is_ok() {}
        tokio::time::sleep(time).await;
        let mut seen = [0, 0];
        while let Ok(name) = told.try_recv() {
            seen[usize::from(name == "slow")] += 1;
        }
        seen
    };
    let seen = count(1000 * MS).await;
    assert!(seen.iter().all(|n| (90..=101).contains(n)), "{seen:?}");
    assert_eq!(host.stall_thread("nobody", MS), 0);
    assert_eq!(host.stall_thread("slow", Duration::from_secs(2)), 1);
    let seen = count(1000 * MS).await;
    assert!(seen[0] >= 90 && seen[1] <= 1, "{seen:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let seen = count(1000 * MS).await;
    assert!(seen.iter().all(|n| (90..=101).contains(n)), "{seen:?}");
    // A slow machine still does everything, but later.
    host.slow_down(10_000);
    let seen = count(1000 * MS).await;
    assert!(seen.iter().all(|n| (1..70).contains(n)), "{seen:?}");
}
