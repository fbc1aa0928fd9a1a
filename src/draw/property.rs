//! `squall::proptest!`: a property over values of proptest's strategies whose body is a simulation.

use super::{label, labelled, show, value};
use crate::run::{Builder, Returned, Settings};
use crate::sim::Sim;
use proptest::strategy::Strategy;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence, RngAlgorithm, TestRng};
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

/// Each value of a regression file meets the order of tasks of so many seeds.
const SEEDS_EACH: u64 = 8;

/// Property tests whose body is a simulation, in the form that proptest's own `proptest!` takes (feature `proptest`).
///
/// Each function takes the [`Sim`](crate::Sim) first, and then values `in` strategies. Each seed draws them anew; they shrink together with the order of tasks and the
/// faults, and a failure shows them. `#![settings(..)]` gives all functions [`Settings`](crate::Settings).
///
/// Values that proptest itself once found for a test, in `proptest-regressions/` or, beside a test under `tests/`, in `NAME.proptest-regressions`, come first: the
/// first eight seeds for each of them have its value. They are those of the same strategies in the same order, whichever of the two macros the test
/// has. What this one finds is kept as choice logs under `squall-failures/`, which hold the order of tasks and the faults as well.
///
/// ```
/// squall::proptest! {
///     #![settings(squall::Settings::new().seeds(50))]
///
///     #[test]
///     async fn sleeping_takes_its_time(sim: squall::Sim, naps in proptest::collection::vec(1..500u64, 0..5)) {
///         let sum: u64 = naps.iter().sum();
///         for nap in naps {
///             tokio::time::sleep(std::time::Duration::from_millis(nap)).await;
///         }
///         assert!(sim.elapsed().as_millis() >= u128::from(sum));
///     }
/// }
/// # fn main() {}
/// ```
#[allow(
    clippy::test_attr_in_doctest,
    reason = "it shows how tests are written with it"
)]
#[macro_export]
macro_rules! proptest {
    (#![settings($settings:expr)] $($rest:tt)*) => {
        $crate::proptest!(@tests ($settings) $($rest)*);
    };
    (@tests ($settings:expr) $(
        $(#[$meta:meta])*
        async fn $name:ident($sim:ident: $sim_type:ty $(, $value:pat in $strategy:expr)+ $(,)?) $(-> $returned:ty)? $body:block
    )*) => { $(
        $(#[$meta])*
        fn $name() {
            let settings: $crate::Settings = $settings;
            $crate::draw::check(
                file!(),
                stringify!($($value),+),
                settings,
                || ($($strategy,)+),
                |$sim: $sim_type, ($($value,)+)| async move {
                    let returned $(: $returned)? = async move { $body }.await;
                    returned
                },
            );
        }
    )* };
    (@tests $($rest:tt)*) => {
        compile_error!("a test here is `async fn name(sim: squall::Sim, value in strategy, ..) { .. }`; see squall::proptest!");
    };
    ($($rest:tt)*) => {
        $crate::proptest!(@tests ($crate::Settings::new()) $($rest)*);
    };
}

/// The values that proptest found for the tests of a source file.
#[derive(Clone, Debug, Default)]
pub struct Regressions(Arc<[(RngAlgorithm, Vec<u8>)]>);

impl Regressions {
    /// Reads those of this source file.
    ///
    /// # Panics
    /// If an entry is of a kind that nobody knows.
    pub fn of(file: &'static str) -> Self {
        let parts = Path::new(file).components();
        // proptest looks for `lib.rs` or `main.rs` above a file, which tests of their own have not.
        let apart = parts.into_iter().any(|part| part.as_os_str() == "tests");
        let place = match apart {
            true => FileFailurePersistence::WithSource("proptest-regressions"),
            false => FileFailurePersistence::SourceParallel("proptest-regressions"),
        };
        let entries = place.load_persisted_failures2(Some(file));
        let parsed = entries.iter().map(|entry| {
            let entry = entry.to_string();
            parsed(&entry).unwrap_or_else(|| {
                panic!(
                    "the regression of {file} `{entry}` is of no kind that can be used; take it out"
                )
            })
        });
        Regressions(parsed.collect())
    }

    /// How the value of this run is to be made, if it is one of these.
    fn of_seed(&self, seed: u64) -> Option<TestRng> {
        let count = self.0.len() as u64;
        let known = seed < count.saturating_mul(SEEDS_EACH);
        let (algorithm, seed) = known.then(|| &self.0[(seed % count) as usize])?;
        Some(TestRng::from_seed(*algorithm, seed))
    }
}

/// The form in which regression files have a generator's seed.
fn parsed(entry: &str) -> Option<(RngAlgorithm, Vec<u8>)> {
    let mut words = entry.split_whitespace();
    match words.next()? {
        "cc" => {
            let hex = words.next()?;
            let digit = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(digit).collect();
            Some((
                RngAlgorithm::ChaCha,
                bytes.filter(|bytes| bytes.len() == 32)?,
            ))
        }
        "xs" => {
            let numbers: Option<Vec<u32>> = words.map(|word| word.parse().ok()).collect();
            let numbers = numbers.filter(|numbers| numbers.len() == 4)?;
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
            Some((RngAlgorithm::XorShift, bytes.collect()))
        }
        _ => None,
    }
}

/// The values of a tuple without what makes them one.
fn bare(tuple: &str) -> &str {
    let inner = tuple
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    inner.map_or(tuple, |inner| inner.trim_end_matches(','))
}

/// Runs the body of a test that [`proptest!`](crate::proptest) has made.
#[track_caller]
pub fn check<S, F, Fut, R>(
    file: &'static str,
    names: &'static str,
    settings: Settings,
    strategies: impl Fn() -> S + Send + Sync + 'static,
    body: F,
) where
    S: Strategy,
    F: Fn(Sim, S::Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R>,
    R: Returned,
{
    let regressions = Regressions::of(file);
    let at = Location::caller();
    Builder::new().settings(settings).check(move |sim: Sim| {
        let label = label(at, 0);
        let preset = regressions.of_seed(sim.seed());
        let value = value(names, &strategies(), preset, &mut |n| labelled(label, n));
        show(|| format!("drawn: {names} = {}", bare(&format!("{value:?}"))));
        body(sim, value)
    });
}
