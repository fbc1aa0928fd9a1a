//! Values from strategies of proptest's. The seed of the value and the way from it to a simpler one are choices of the run.
//!
//! proptest simplifies along a tree that only the value's own strategy knows: a vector loses elements from its middle, a filtered
//! number stays one that the filter lets through. So what is kept in the log is not the raw bits that a value is made from, of which
//! smaller ones are simpler only for flat strategies, but the steps along that tree: each is a question, whose plainest answer is "one step
//! simpler". A run without departures has the simplest value of all, a first run has the value as it was drawn, and shrinking
//! takes the steps that proptest's own runner would take (`choice/shrink.rs`).

use crate::kernel::{SEEDS, WALK};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The most steps to a simpler value. proptest's trees are finite, those of others should be.
const STEPS: u32 = 100_000;

/// Follows the seed in the key of proptest's generator.
const KEY_TAG: &[u8; 24] = b"squall: proptest draws 1";

/// A value of `strategy`, from numbers that `below` draws; `preset` is where it comes from instead of a seed of the run's own.
///
/// # Panics
/// If the strategy gives none, as one does that filters too much away.
pub(crate) fn value<S: Strategy>(
    name: &str,
    strategy: &S,
    preset: Option<TestRng>,
    below: &mut dyn FnMut(u64) -> u64,
) -> S::Value {
    let rng = preset.unwrap_or_else(|| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&below(SEEDS).to_le_bytes());
        key[8..].copy_from_slice(KEY_TAG);
        TestRng::from_seed(RngAlgorithm::ChaCha, &key)
    });
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let mut tree = match strategy.new_tree(&mut runner) {
        Ok(tree) => tree,
        Err(reason) => {
            panic!("the strategy of {name} gives no value: {reason}; filter less, or map instead")
        }
    };
    for _ in 0..STEPS {
        let went = match below(WALK) {
            0 => tree.simplify(),
            1 => tree.complicate(),
            _ => false,
        };
        if !went {
            break;
        }
    }
    tree.current()
}
