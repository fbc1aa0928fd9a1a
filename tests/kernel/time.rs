//! Clocks, sleeps and timers in virtual time.

use crate::{both, run_with};
use squall::kernel::{Config, End};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

fn clock(id: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the record is a writable local.
    assert_eq!(unsafe { libc::clock_gettime(id, &mut ts) }, 0);
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

#[test]
fn a_day_passes_at_once_and_on_every_clock() {
    both(1, || {
        let ids = [
            libc::CLOCK_REALTIME,
            libc::CLOCK_MONOTONIC,
            libc::CLOCK_BOOTTIME,
            libc::CLOCK_MONOTONIC_RAW,
            libc::CLOCK_MONOTONIC_COARSE,
            libc::CLOCK_REALTIME_COARSE,
            libc::CLOCK_PROCESS_CPUTIME_ID,
            libc::CLOCK_THREAD_CPUTIME_ID,
        ];
        let before: Vec<u64> = ids.iter().map(|id| clock(*id)).collect();
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let day = Duration::from_secs(12 * 3600);
        thread::sleep(day);
        for (id, before) in ids.iter().zip(before) {
            let passed = Duration::from_nanos(clock(*id) - before);
            assert!(
                passed >= day && passed < day + Duration::from_millis(1),
                "clock {id}: {passed:?}"
            );
        }
        assert!(monotonic.elapsed() >= day);
        assert!(wall.elapsed().unwrap() >= day);
    });
}

#[test]
fn time_never_stands_still() {
    both(2, || {
        let mut last = Instant::now();
        for _ in 0..1000 {
            let now = Instant::now();
            assert!(now > last);
            last = now;
        }
    });
}

#[test]
fn a_program_that_spins_until_a_time_arrives_there() {
    both(3, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            std::hint::spin_loop();
        }
    });
}

#[test]
fn timeouts_of_waits_are_exact_enough() {
    both(4, || {
        let (_tx, rx) = std::sync::mpsc::channel::<()>();
        let start = Instant::now();
        assert!(rx.recv_timeout(Duration::from_millis(250)).is_err());
        let passed = start.elapsed();
        assert!(
            passed >= Duration::from_millis(250) && passed < Duration::from_millis(251),
            "{passed:?}"
        );
        let start = Instant::now();
        thread::park_timeout(Duration::from_secs(2));
        assert!(start.elapsed() >= Duration::from_secs(2));
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_times() {
    both(5, || {
        let (tx, rx) = std::sync::mpsc::channel();
        for i in (0..20u64).rev() {
            let tx = tx.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(10 * i + 10));
                tx.send(i).unwrap();
            });
        }
        drop(tx);
        assert_eq!(rx.iter().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn absolute_sleeps_and_old_calls() {
    both(6, || {
        let at = clock(libc::CLOCK_MONOTONIC) + 5_000_000_000;
        let ts = libc::timespec {
            tv_sec: (at / 1_000_000_000) as i64,
            tv_nsec: (at % 1_000_000_000) as i64,
        };
        // SAFETY: the record is readable; no remainder is asked for.
        let r = unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &ts,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(r, 0);
        assert!(clock(libc::CLOCK_MONOTONIC) >= at);
        // SAFETY: these calls take numbers, or a null pointer that they allow.
        unsafe {
            let before = libc::time(std::ptr::null_mut());
            libc::usleep(1_500_000);
            libc::sleep(3);
            let mut tv: libc::timeval = std::mem::zeroed();
            libc::gettimeofday(&mut tv, std::ptr::null_mut());
            assert!(tv.tv_sec - before >= 4);
        }
    });
}

#[test]
fn timerfd_counts_expirations() {
    both(7, || {
        // SAFETY: the descriptors and records are live locals.
        unsafe {
            let fd = libc::timerfd_create(
                libc::CLOCK_MONOTONIC,
                libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
            );
            assert!(fd >= 0);
            let ms = |n: i64| libc::timespec {
                tv_sec: n / 1000,
                tv_nsec: n % 1000 * 1_000_000,
            };
            let setting = libc::itimerspec {
                it_interval: ms(100),
                it_value: ms(250),
            };
            assert_eq!(
                libc::timerfd_settime(fd, 0, &setting, std::ptr::null_mut()),
                0
            );
            let mut n = 0u64;
            assert_eq!(libc::read(fd, (&raw mut n).cast(), 8), -1);
            assert_eq!(*libc::__errno_location(), libc::EAGAIN);
            thread::sleep(Duration::from_millis(500));
            assert_eq!(libc::read(fd, (&raw mut n).cast(), 8), 8);
            assert_eq!(n, 3, "at 250, 350 and 450 ms");
            let mut now: libc::itimerspec = std::mem::zeroed();
            assert_eq!(libc::timerfd_gettime(fd, &mut now), 0);
            assert!(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 50_000_000);
            // A blocking read waits for the next expiry.
            libc::fcntl(fd, libc::F_SETFL, 0);
            assert_eq!(libc::read(fd, (&raw mut n).cast(), 8), 8);
            assert_eq!(n, 1);
            assert_eq!(libc::close(fd), 0);
        }
    });
}

#[test]
fn the_limit_of_virtual_time_ends_the_run() {
    let config = Config {
        max_virtual: 3_600_000_000_000,
        ..Config::default()
    };
    let (result, outcome) = run_with(config, 8, || thread::sleep(Duration::from_secs(3601)));
    assert!(result.is_none());
    assert!(
        matches!(outcome.end, End::TimeLimit(_)),
        "{:?}",
        outcome.end
    );
}

#[test]
fn threads_that_only_yield_are_a_livelock() {
    let (_, outcome) = run_with(Config::default(), 9, || {
        let other = thread::spawn(|| {
            loop {
                thread::yield_now();
            }
        });
        other.join().unwrap();
    });
    match outcome.end {
        End::Livelock(threads) => assert_eq!(threads.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn spinning_with_a_timer_pending_is_no_livelock() {
    let (result, outcome) = run_with(Config::default(), 10, || {
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let setter = done.clone();
        let t = thread::spawn(move || {
            thread::sleep(Duration::from_secs(3600));
            setter.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            thread::yield_now();
        }
        t.join().unwrap();
    });
    assert_eq!(outcome.end, End::Returned);
    result.unwrap().unwrap();
}
