//! `squall::proptest!`: values that proptest once found come first; and our draws in plain proptest.

use proptest::prelude::*;
use squall::draw::{Draws, strategy};
use squall::{Settings, Sim};
use std::sync::atomic::{AtomicU64, Ordering};

squall::proptest! {
    #![settings(Settings::new().seeds(40).audit(100))]

    /// As any test.
    #[test]
    async fn several_values(sim: Sim, (a, b) in (0..10u32, 0..10u32), mut list in proptest::collection::vec(0..9u8, 1..4)) {
        assert!(a < 10 && b < 10);
        list.clear();
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(a))).await;
        assert!(sim.elapsed().as_millis() >= u128::from(a));
    }

    #[test]
    async fn that_return_results(_sim: Sim, a in 1..10u32) -> squall::Result {
        assert!(a > 0);
        Ok(())
    }
}

/// What the seed in `property.proptest-regressions` draws, and no other seed would.
fn of_the_file() -> u64 {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[0x2a; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    any::<u64>().new_tree(&mut runner).unwrap().current()
}

#[test]
fn values_that_proptest_found_come_first() {
    let found = of_the_file();
    let run = move |seeds: u64| {
        std::panic::catch_unwind(move || {
            squall::draw::check(
                file!(),
                "value",
                Settings::new().seeds(seeds).keep_failures(false),
                || (any::<u64>(),),
                move |_, (value,)| async move { assert_ne!(value, found) },
            );
        })
    };
    let failed = run(8).unwrap_err();
    let text = failed.downcast_ref::<String>().unwrap();
    assert!(
        text.contains(&format!("drawn: value = {found}\n")),
        "{text}"
    );
    assert!(text.contains("SQUALL_SEED=0x0"), "{text}");
}

fn order(draws: &mut Draws<'_>) -> (u64, Vec<u64>) {
    let bound = draws.number(1..=1000);
    let pieces = draws.number(0..10);
    (bound, (0..pieces).map(|_| draws.number(0..bound)).collect())
}

#[test]
fn our_draws_are_a_strategy() {
    static LEAST: AtomicU64 = AtomicU64::new(u64::MAX);
    let mut config = ProptestConfig::with_cases(500);
    config.failure_persistence = None;
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&strategy(order), |(bound, pieces)| {
        prop_assert!(pieces.iter().all(|piece| *piece < bound));
        let sum: u64 = pieces.iter().sum();
        if sum >= 123 {
            LEAST.fetch_min(sum, Ordering::SeqCst);
        }
        prop_assert!(sum < 123);
        Ok(())
    });
    let Err(proptest::test_runner::TestError::Fail(_, (bound, pieces))) = result else {
        panic!("nothing was found: {result:?}")
    };
    assert_eq!(pieces.iter().sum::<u64>(), 123, "{bound} {pieces:?}");
    assert_eq!(LEAST.load(Ordering::SeqCst), 123);
}
