//! What squall does at the macros of `squall-points` in the program under test: the answers to its questions come from `fault`, its
//! properties are judged here and end the run as those of a test do.

#![cfg_attr(
    not(squall_kernel),
    allow(dead_code, reason = "where there is no kernel, no macro asks")
)]

use super::{Sim, scope};
use crate::fault;
use crate::kernel::{self, Violation};
use squall_points::{Hooks, Kind, Site, Values, Visit};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The kind of the tallies of the program's `sometimes!` and `reachable!`, which count for a suite and not for a test.
pub(crate) const POINT: &str = "point";

/// The answers.
pub(crate) struct Points;

/// The last value of each gauge.
#[derive(Default)]
struct Gauges(Mutex<BTreeMap<&'static str, f64>>);

/// Has the macros ask squall. `run` calls it in the process of a run.
pub(crate) fn activate() {
    squall_points::install(&Points);
    squall_points::activate(true);
}

impl Hooks for Points {
    fn buggify(&self, site: &'static Site, rate: Option<f64>) -> bool {
        running() && fault::buggify::fires(site, rate)
    }

    fn visit(&self, site: &'static Site, fails: bool) -> Option<String> {
        running().then(|| fault::point::visit(site, fails))?
    }

    fn visit_async(&self, site: &'static Site, fails: bool) -> Option<Visit> {
        running().then(|| fault::point::visit_async(site, fails))?
    }

    fn property(&self, site: &'static Site, condition: bool, values: &dyn Fn() -> Values) {
        // While a panic unwinds nothing is as it should be, and the panic is what is to be told.
        if !running() || std::thread::panicking() {
            return;
        }
        let detail = match (site.kind, condition) {
            (Kind::Sometimes | Kind::Reachable, true) => {
                return kernel::tally(POINT, site.name, &site.to_string(), 1);
            }
            (Kind::Always, false) => "its condition is false",
            (Kind::Never, true) => "its condition is true",
            (Kind::Unreachable, _) => "it was reached",
            _ => return,
        };
        let values = values().into_iter();
        kernel::violate(Violation {
            property: site.name.to_owned(),
            detail: detail.to_owned(),
            values: values.map(|(name, text)| (name.to_owned(), text)).collect(),
            site: site.to_string(),
            ..Violation::default()
        })
    }

    fn gauge(&self, site: &'static Site, value: f64) {
        if !running() {
            return;
        }
        kernel::note("sample", || {
            serde_json::json!({ "series": site.name, "value": value }).to_string()
        });
        let gauges = scope::of_run::<Gauges>();
        kernel::keep_turn(|| {
            let mut gauges = gauges.0.lock().unwrap_or_else(PoisonError::into_inner);
            gauges.insert(site.name, value);
        });
    }
}

/// The last value of each of the program's gauges in this run, by name.
pub(crate) fn gauges() -> Vec<(&'static str, f64)> {
    let Some(gauges) = scope::if_any::<Gauges>() else {
        return Vec::new();
    };
    kernel::keep_turn(|| {
        let gauges = gauges.0.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.iter().map(|(name, value)| (*name, *value)).collect()
    })
}

/// Whether the caller is part of a run.
fn running() -> bool {
    kernel::now().is_some()
}

impl Sim {
    /// The last value of the program's `gauge!` of this name in this run; `None` before the first.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        let gauges = scope::if_any::<Gauges>()?;
        kernel::keep_turn(|| {
            let gauges = gauges.0.lock().unwrap_or_else(PoisonError::into_inner);
            gauges.get(name).copied()
        })
    }

    /// The `fault_point!`s of this name in the program, for the test to say what happens there in this run.
    ///
    /// ```
    /// use std::io;
    ///
    /// fn append(log: &mut Vec<u8>) -> io::Result<()> {
    ///     squall::fault_point!("the disk is full", |text| Err(io::Error::other(text)));
    ///     log.push(1);
    ///     Ok(())
    /// }
    /// # fn main() {
    /// let held = squall::Builder::new().seeds(2).run(|sim: squall::Sim| async move {
    ///     let disk = sim.fault_point("the disk is full");
    ///     disk.error("no space left").after(1).times(2);
    ///     let mut log = Vec::new();
    ///     let failed = (0..5).filter(|_| append(&mut log).is_err()).count();
    ///     assert_eq!((failed, log.len()), (2, 3));
    ///     assert_eq!((disk.visits(), disk.fired()), (5, 2));
    /// });
    /// assert!(held.is_ok());
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the program has no such place, and outside a simulation.
    pub fn fault_point(&self, name: &str) -> fault::FaultPoint {
        fault::point::point(name)
    }

    /// Whether the program's `buggify!()` may fire from now on. At the start of a run it may; a phase in which everything has to recover
    /// begins with `false`.
    ///
    /// # Panics
    /// Outside a simulation.
    pub fn buggify(&self, allowed: bool) {
        fault::buggify::allow(allowed);
    }
}
