//! What a test draws from its run's choices: `Sim`'s methods. `draw` does the work.

use super::Sim;
use crate::draw::{self, Draws, Machine};
use std::ops::RangeBounds;
use std::panic::Location;

impl Sim {
    /// A number of a range, each as likely as any other; the lowest is the plainest.
    ///
    /// ```
    /// # fn main() {
    /// let failure = squall::Builder::new().keep_failures(false).run(|sim: squall::Sim| async move {
    ///     let pieces = sim.number(1..=500);
    ///     assert!(pieces < 37);
    /// });
    /// // Shrunk to the least number that fails: drawn: src/lib.rs:7:22 = 37
    /// assert!(failure.unwrap_err().text.contains("drawn: "));
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the range is empty, and outside a simulation; so do the methods below.
    #[track_caller]
    pub fn number(&self, range: impl RangeBounds<u64>) -> u64 {
        let at = Location::caller();
        let drawn = with(at, |draws| draws.number(range));
        tell(at, &drawn)
    }

    /// One of several, each as likely as any other; the first is the plainest.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn choose<'t, T>(&self, of: &'t [T]) -> &'t T {
        with(Location::caller(), |draws| draws.choose(of))
    }

    /// One of several, in proportion to their weights; the first is the plainest.
    ///
    /// # Panics
    /// If all weights are 0.
    #[track_caller]
    pub fn weighted<'t, T>(&self, of: &'t [(u32, T)]) -> &'t T {
        with(Location::caller(), |draws| draws.weighted(of))
    }

    /// Whether something happens that does with this chance, 0 to 1, counted to a millionth. Plainest is that it does not.
    ///
    /// # Panics
    /// If the chance lies outside.
    #[track_caller]
    pub fn chance(&self, chance: f64) -> bool {
        let at = Location::caller();
        let drawn = with(at, |draws| draws.chance(chance));
        tell(at, &drawn)
    }

    /// A value of a strategy of proptest's (feature `proptest`). Seed and simplification are choices of the run: the value shrinks together
    /// with the order of tasks and the faults, as far as proptest's own runner would make it. A failure shows it.
    ///
    /// ```
    /// # fn main() {
    /// use proptest::collection::vec;
    ///
    /// let failure = squall::Builder::new().keep_failures(false).run(|sim: squall::Sim| async move {
    ///     let cart = sim.draw_as("cart", vec(0..1000u32, 0..20));
    ///     tokio::task::yield_now().await;
    ///     assert!(!cart.iter().any(|price| *price >= 37));
    /// });
    /// // drawn: cart = [37]
    /// assert!(failure.unwrap_err().text.contains("drawn: cart = ["));
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the strategy gives no value, as one does that filters too much away.
    #[cfg(feature = "proptest")]
    #[track_caller]
    pub fn draw<S: proptest::strategy::Strategy>(&self, strategy: S) -> S::Value {
        let at = Location::caller();
        drawn(&crate::check::site(at), at, &strategy)
    }

    /// As [`Sim::draw`], with a name for the value by which failures show it.
    ///
    /// # Panics
    /// As [`Sim::draw`].
    #[cfg(feature = "proptest")]
    #[track_caller]
    pub fn draw_as<S: proptest::strategy::Strategy>(&self, name: &str, strategy: S) -> S::Value {
        drawn(name, Location::caller(), &strategy)
    }

    /// A sequence of commands that a model draws, run against the system under test and compared: see [`Machine`].
    #[track_caller]
    pub fn commands<M: Machine>(&self, machine: M) -> draw::Commands<M> {
        draw::Commands::new(machine, Location::caller())
    }
}

fn with<T>(at: &'static Location<'static>, draw: impl FnOnce(&mut Draws<'_>) -> T) -> T {
    let label = draw::next_label(at, 1);
    draw(&mut Draws::from_fn(&mut |n| draw::labelled(label, n)))
}

fn tell<T: std::fmt::Debug + Copy>(at: &'static Location<'static>, drawn: &T) -> T {
    draw::show(|| format!("drawn: {} = {drawn:?}", crate::check::site(at)));
    *drawn
}

#[cfg(feature = "proptest")]
fn drawn<S: proptest::strategy::Strategy>(
    name: &str,
    at: &'static Location<'static>,
    strategy: &S,
) -> S::Value {
    let label = draw::next_label(at, 1);
    let value = draw::value(name, strategy, None, &mut |n| draw::labelled(label, n));
    draw::show(|| format!("drawn: {name} = {value:?}"));
    value
}
