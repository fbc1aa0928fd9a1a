//! The attribute `#[squall::model]` under its own name and with its documentation, for either engine. Under `--cfg loom` all that there is of this
//! crate is here and in `telling`: `under_loom` runs models, `execution` writes down what loom did. Elsewhere a model is a test
//! like any other, under the strategy `exhaustive`, and this room has the attribute alone.

#[cfg(loom)]
mod execution;
#[cfg(loom)]
pub mod under_loom;

/// Runs a function under every schedule, up to two preemptions; and, in a build with `--cfg loom`, under loom, which tries what weak
/// memory allows besides. `cargo squall model` does both and says what each came to.
///
/// The function takes and returns nothing, and makes all that its threads share: it is called anew for each execution. What it shares it takes
/// from [`sync`](crate::sync), [`thread`](crate::thread), [`cell`](crate::cell) and [`hint`](crate::hint), which are std's types or loom's. The same modules
/// are in the crate `squall-points`, which code that ships may depend on.
///
/// ```no_run
/// use squall::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
/// use squall::sync::Arc;
///
/// #[squall::model]
/// fn what_a_flag_announces_is_there() {
///     let shared = Arc::new((AtomicBool::new(false), AtomicU32::new(0)));
///     let writer = shared.clone();
///     let thread = squall::thread::spawn(move || {
///         writer.1.store(7, Relaxed);
///         writer.0.store(true, Release); // `Relaxed` holds under the kernel, and not under loom
///     });
///     if shared.0.load(Acquire) {
///         assert_eq!(shared.1.load(Relaxed), 7);
///     }
///     thread.join().unwrap();
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
/// | `preemption_bound = 3` | loom: how often threads are interrupted that could go on (`LOOM_MAX_PREEMPTIONS`). The kernel's bound is 2 | none |
/// | `max_branches = 10_000` | loom: how many steps an execution may have (`LOOM_MAX_BRANCHES`) | 1000 |
/// | `max_executions = 50_000` | both: end the search after so many; what is left is told (`SQUALL_SEEDS`, `LOOM_MAX_PERMUTATIONS`) | none |
/// | `loom = false` | the kernel alone runs it, and under `--cfg loom` its body is not compiled: more than five threads, the program's runtime | `true` |
/// | `kernel = false` | loom alone runs it; elsewhere libtest shows it as ignored | `true` |
///
/// Under plain `cargo test` threads switch where they wait or call the system, and not between two atomic operations: that takes `cargo squall model`
/// or `cargo squall test --points memory`.
///
/// # Misuse is an error of compilation
///
/// ```compile_fail
/// #[squall::model]
/// async fn f() {} // loom runs threads
/// ```
/// ```compile_fail
/// #[squall::model]
/// fn f(sim: squall::Sim) {} // there is no world under loom
/// ```
/// ```compile_fail
/// #[squall::model(strategy = "pct")]
/// fn f() {} // it is searched exhaustively
/// ```
/// ```compile_fail
/// #[squall::model(kernel = false, loom = false)]
/// fn f() {} // nothing would run it
/// ```
#[cfg(not(loom))]
pub use squall_macros::model;
#[cfg(loom)]
pub use squall_macros::model_under_loom as model;

#[cfg(loom)]
pub use squall_macros::{without_kernel as scenario, without_kernel as test};
