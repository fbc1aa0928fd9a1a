//! What production code may say to a simulation of squall: where a fault would be of interest, what must hold, what should happen
//! at least once, how long a queue is.
//!
//! ```
//! fn take(stock: &mut i64, wanted: i64) -> bool {
//!     // In a quarter of a test's runs, at a quarter of its visits: as if the stock were lower than it is.
//!     if squall_points::buggify!() || *stock < wanted {
//!         squall_points::reachable!("an order is turned down");
//!         return false;
//!     }
//!     *stock -= wanted;
//!     squall_points::always!(*stock >= 0, "the stock is never negative", stock, wanted = wanted);
//!     true
//! }
//! assert!(take(&mut 3, 2));
//! ```
//!
//! Outside a simulation each macro is one relaxed load of a static and a branch that is not taken, about half a nanosecond; its arguments are not
//! evaluated, so they must have no effect of their own. There is no feature to switch and nothing to set up: the crate has one dependency
//! (`linkme`), knows nothing of the simulator and builds on every platform. The crate `squall`, which only tests depend on, finds the macros through
//! [`install`].
//!
//! Every macro's place is in the [`catalogue`], which the linker puts together, so that a tool can name a `sometimes!` or
//! `reachable!` that no run of a suite came to. On platforms that `linkme` does not know (WebAssembly, say) the catalogue is empty.
//!
//! [`sync`], [`thread`], [`cell`] and [`hint`] are for code whose memory orderings are to be checked: std's types, and under `--cfg loom`, with which no
//! production build is made, those of [loom](https://docs.rs/loom), so that `#[squall::model]` can run the code that ships under both.

pub mod cell;
pub mod hint;
mod macros;
pub mod sync;
pub mod thread;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a place in the program states or offers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// [`buggify!`]
    Buggify,
    /// [`fault_point!`]
    Fault,
    /// [`always!`]
    Always,
    /// [`never!`]
    Never,
    /// [`sometimes!`]
    Sometimes,
    /// [`reachable!`]
    Reachable,
    /// [`unreachable_point!`]
    Unreachable,
    /// [`gauge!`]
    Gauge,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Buggify => "buggify",
            Kind::Fault => "fault_point",
            Kind::Always => "always",
            Kind::Never => "never",
            Kind::Sometimes => "sometimes",
            Kind::Reachable => "reachable",
            Kind::Unreachable => "unreachable_point",
            Kind::Gauge => "gauge",
        })
    }
}

/// A place in the program at which one of the macros stands.
#[derive(Debug)]
pub struct Site {
    /// Which macro.
    pub kind: Kind,
    /// The name that it was given; empty for [`buggify!`].
    pub name: &'static str,
    /// The file, as the compiler knows it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The module.
    pub module: &'static str,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Values that are captured where a property does not hold: names and `Debug` texts.
pub type Values = Vec<(&'static str, String)>;

/// What an armed [`fault_point!`] in asynchronous code waits for; `Some` is the error that it then returns.
pub type Visit = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// What a simulator does at the macros. Squall implements it; programs have no need to.
///
/// Every method may be called on any thread while [`activate`] is in force, also on threads that are not simulated.
pub trait Hooks: Sync {
    /// Whether the place fires now; `rate` is the chance of one visit, `None` the usual one.
    fn buggify(&self, site: &'static Site, rate: Option<f64>) -> bool;

    /// A visit of a fault point in synchronous code; returns the error that it is to fail with. `fails` says whether it can.
    fn visit(&self, site: &'static Site, fails: bool) -> Option<String>;

    /// As [`Hooks::visit`], in asynchronous code; `None` if the point is not armed.
    fn visit_async(&self, site: &'static Site, fails: bool) -> Option<Visit>;

    /// A property was looked at: whether its condition is true, and how to capture the values.
    fn property(&self, site: &'static Site, condition: bool, values: &dyn Fn() -> Values);

    /// Something has this value now.
    fn gauge(&self, site: &'static Site, value: f64);
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static HOOKS: OnceLock<&'static dyn Hooks> = OnceLock::new();

/// Says who answers at the macros. The first call of a process counts.
pub fn install(hooks: &'static dyn Hooks) {
    // A second simulator in a process would be none of ours.
    let _ = HOOKS.set(hooks);
}

/// Has the macros ask whoever was [`install`]ed, or no longer.
pub fn activate(active: bool) {
    ACTIVE.store(active, Ordering::Relaxed);
}

/// Whether a simulation runs in this process.
#[inline(always)]
pub fn active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "windows",
    target_os = "freebsd",
    target_os = "illumos"
))]
#[doc(hidden)]
#[linkme::distributed_slice]
pub static CATALOGUE: [Site];

/// Every place of the program at which one of the macros stands, in the linker's order.
pub fn catalogue() -> &'static [Site] {
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "windows",
        target_os = "freebsd",
        target_os = "illumos"
    ))]
    return &CATALOGUE;
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "windows",
        target_os = "freebsd",
        target_os = "illumos"
    )))]
    return &[];
}

/// What the macros' code calls. Not for people; it changes without notice.
#[doc(hidden)]
pub mod __private {
    use super::{HOOKS, Hooks, Site, Values, Visit};

    pub use linkme;

    fn hooks() -> Option<&'static dyn Hooks> {
        HOOKS.get().copied()
    }

    #[cold]
    pub fn buggify(site: &'static Site, rate: Option<f64>) -> bool {
        hooks().is_some_and(|hooks| hooks.buggify(site, rate))
    }

    #[cold]
    pub fn visit(site: &'static Site, fails: bool) -> Option<String> {
        hooks()?.visit(site, fails)
    }

    #[cold]
    pub fn visit_async(site: &'static Site, fails: bool) -> Option<Visit> {
        hooks()?.visit_async(site, fails)
    }

    #[cold]
    pub fn property(site: &'static Site, condition: bool, values: &dyn Fn() -> Values) {
        if let Some(hooks) = hooks() {
            hooks.property(site, condition, values);
        }
    }

    #[cold]
    pub fn gauge(site: &'static Site, value: f64) {
        if let Some(hooks) = hooks() {
            hooks.gauge(site, value);
        }
    }
}
