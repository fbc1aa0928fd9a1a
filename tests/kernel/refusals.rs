//! What the kernel cannot simulate fails with an errno and leaves a report.

use crate::run_with;
use squall::kernel::{Config, End, Errno};

#[test]
fn new_processes_are_refused_and_reported() {
    let (result, outcome) = run_with(Config::default(), 1, || {
        std::process::Command::new("true")
            .spawn()
            .map(|_| ())
            .map_err(|e| e.raw_os_error())
    });
    assert_eq!(result.unwrap().unwrap(), Err(Some(libc::ENOSYS)));
    let refused = &outcome.refused[0];
    assert!(refused.call.starts_with("posix_spawn"), "{}", refused.call);
    assert_eq!(refused.errno, Errno::ENOSYS);
    assert!(!refused.tolerated);
    assert!(
        refused.backtrace.contains("refusals"),
        "{}",
        refused.backtrace
    );
}

#[test]
fn an_unknown_system_call_is_refused_but_tolerated() {
    let (result, outcome) = run_with(Config::default(), 1, || {
        // SAFETY: io_uring_setup with a null argument fails on any system.
        let r = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8usize, 0usize) };
        (r, std::io::Error::last_os_error().raw_os_error())
    });
    assert_eq!(result.unwrap().unwrap(), (-1, Some(libc::ENOSYS)));
    assert!(outcome.refused[0].tolerated);
    assert_eq!(outcome.end, End::Returned);
}

#[test]
fn exit_and_abort_end_the_run() {
    // Not std's function: it remembers in a static that the process is ending, and this process goes on.
    // SAFETY: exit takes a number.
    let exit = || unsafe { libc::exit(3) };
    let (result, outcome) = run_with::<()>(Config::default(), 1, exit);
    assert!(result.is_none());
    assert_eq!(outcome.end, End::Exited(3));
    let (_, outcome) = run_with(Config::default(), 1, || std::process::abort());
    match outcome.end {
        End::Aborted { backtrace } => assert!(backtrace.contains("refusals"), "{backtrace}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn outside_a_simulation_everything_is_real() {
    assert!(
        std::process::Command::new("true")
            .status()
            .unwrap()
            .success()
    );
    let start = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(start.elapsed() >= std::time::Duration::from_millis(2));
    std::net::TcpListener::bind("127.0.0.1:0").unwrap();
}

#[test]
fn timers_that_send_signals_are_refused() {
    let (result, outcome) = run_with(Config::default(), 1, || {
        let errno = || std::io::Error::last_os_error().raw_os_error().unwrap();
        // SAFETY: the records are readable or writable locals; null is allowed where it is passed.
        unsafe {
            let mut timer: libc::timer_t = std::mem::zeroed();
            assert_eq!(
                libc::timer_create(libc::CLOCK_MONOTONIC, std::ptr::null_mut(), &mut timer),
                -1
            );
            assert_eq!(errno(), libc::ENOSYS);
            let ts: libc::timespec = std::mem::zeroed();
            assert_eq!(libc::clock_settime(libc::CLOCK_REALTIME, &ts), -1);
            assert_eq!(errno(), libc::EPERM);
        }
    });
    result.unwrap().unwrap();
    assert_eq!(outcome.refused.len(), 2);
}
