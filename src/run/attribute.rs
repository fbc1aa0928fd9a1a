//! The attribute `#[squall::test]`, under its own name and with its documentation. `squall-macros` expands it.

/// Runs a function as a squall test: under many seeds, each in a simulated world of its own.
///
/// The function may be `async` or not, may take the run's `squall::Sim`, and returns `()` or a `Result` whose error is
/// `Debug`. An `async` function runs on a tokio runtime that is built inside the simulation, with all drivers enabled, and
/// dropped before the run ends.
///
/// ```no_run
/// #[squall::test(seeds = 1000, max_time = "1h")]
/// async fn sleeping_costs_nothing(sim: squall::Sim) -> squall::Result {
///     println!("seed {}", sim.seed());
///     tokio::time::sleep(std::time::Duration::from_secs(3000)).await;
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # Arguments
///
/// All are optional; an environment variable named in brackets takes precedence.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `seeds = 256` | how many seeds, from 0 on (`SQUALL_SEEDS`) | 256 |
/// | `budget = "30s"` | begin no seed after this wall time (`SQUALL_BUDGET`) | none |
/// | `strategy = "sticky"` | who goes on: `random`, `sticky`, `pct`, `pct3`, `pos`, `surw`, `delay`, `starvation`, `tokio`, `exhaustive`, `portfolio` (`SQUALL_STRATEGY`) | `portfolio` |
/// | `isolation = "process"` | a process for each seed, or `batch` (`SQUALL_ISOLATION`) | `batch` |
/// | `jobs = 2` | processes side by side (`SQUALL_JOBS`) | 1 |
/// | `audit = 100` | percentage of passing seeds to run twice (`SQUALL_AUDIT`) | 5 |
/// | `watchdog = "10s"` | wall time without a system call that counts as stuck (`SQUALL_WATCHDOG`) | 10 s |
/// | `memory = "8GiB"` | how much a process may grow, or `none` (`SQUALL_MEMORY`) | 8 GiB |
/// | `cpus = 4` | simulated processors | 4 |
/// | `descriptors = 1024` | simulated descriptors of a host | 1024 |
/// | `hosts = ["a", "b"]` | simulated hosts besides `test` | none |
/// | `max_time = "1h"` | virtual time after which a run fails | 24 h |
/// | `max_steps = 1000` | kernel entries after which a run fails; a livelock is a tenth of that, and at least 5 million, without progress | 50 million |
/// | `faults = "spurious_polls, rotate_wakers"` | what the body of an `async` test is put under, see [`Faults`](crate::Faults) | none |
/// | `allow = "blocking_call"` | detectors that do not look, a list, see [`Detector`](crate::Detector) | none |
/// | `detect = "leaked_tasks"` | detectors that look although they do not by default | none |
/// | `cancel = "check"` | drop the body at one of its awaits and run this function then, see below | none |
///
/// And those of `#[tokio::test]`, with its meanings: `flavor`, `worker_threads`, `start_paused`, `unhandled_panic`, `name`,
/// `crate`. Where `flavor` is left out, each seed draws one: `current_thread`, or `multi_thread` with 1 to 8 workers.
///
/// # Cancellation
///
/// With `cancel = "path"` the body is an operation that may be dropped half done: as
/// [`cancel_at_some_await`](crate::cancel_at_some_await) does, each seed drops it at one of its awaits, or lets it finish. Then the async function
/// at that path says whether what is left behind is whole. It takes what the test takes, and after that where the body
/// was dropped, `None` if it was done. Statics are put back between runs, so the two may meet in one.
///
/// ```no_run
/// # use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
/// static ACCOUNTS: [AtomicI64; 2] = [AtomicI64::new(10), AtomicI64::new(0)];
///
/// #[squall::test(cancel = "nothing_is_lost")]
/// async fn transfer() {
///     ACCOUNTS[0].fetch_sub(3, SeqCst);
///     tokio::task::yield_now().await; // dropped here, three are gone
///     ACCOUNTS[1].fetch_add(3, SeqCst);
/// }
///
/// async fn nothing_is_lost(_: Option<squall::Cancelled>) {
///     assert_eq!(ACCOUNTS[0].load(SeqCst) + ACCOUNTS[1].load(SeqCst), 10);
/// }
/// # fn main() {}
/// ```
///
/// # Misuse is an error of compilation
///
/// ```compile_fail
/// #[squall::test(seed = 5)] // unknown: the message lists what there is
/// async fn f() {}
/// ```
/// ```compile_fail
/// #[squall::test]
/// async fn f<T>() {} // a test has no generic parameters
/// ```
/// ```compile_fail
/// #[squall::test]
/// async fn f(a: squall::Sim, b: squall::Sim) {} // at most one argument
/// ```
/// ```compile_fail
/// #[squall::test(flavor = "current_thread", worker_threads = 3)]
/// async fn f() {} // workers are multi_thread's
/// ```
/// ```compile_fail
/// #[squall::test(flavor = "multi_thread")]
/// fn f() {} // only an async test has a runtime
/// ```
/// ```compile_fail
/// #[squall::test]
/// async fn f() -> u32 { 5 } // neither () nor a Result
/// # fn main() { f() }
/// ```
/// ```compile_fail
/// #[squall::test(max_time = "1 hour")]
/// async fn f() {} // not a duration
/// ```
/// ```compile_fail
/// #[squall::test]
/// #[test]
/// async fn f() {} // two test attributes
/// ```
pub use squall_macros::test;

/// Binds a test to a scenario file: as [`macro@test`], and the body gets the run's `Sim` and what the file says, a
/// [`Scenario`](crate::Scenario).
///
/// The path counts from the directory of the package's `Cargo.toml`. The file is read when the test starts, so it can be changed without
/// compiling; one that cannot be used fails the test with file, line, column and what would do. Its form is described in
/// `docs/scenario-files.md`. After the path come arguments as of `#[squall::test]`, if any; what the file says of the run takes
/// precedence over them, and the environment over both.
///
/// ```no_run
/// use squall::{Scenario, Sim};
///
/// #[squall::scenario("scenarios/flash-sale.toml")]
/// async fn stock_is_never_oversold(sim: Sim, scenario: Scenario) {
///     sim.nemesis(scenario.nemesis());
/// }
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[squall::scenario] // a file is needed
/// async fn f(sim: squall::Sim, scenario: squall::Scenario) {}
/// ```
#[cfg(feature = "scenario")]
pub use squall_macros::scenario;
