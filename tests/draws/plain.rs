//! Draws without proptest.

use super::{failure, holds, says};

#[test]
fn plain_draws_shrink() {
    let failed = failure(256, |sim| async move {
        let pieces = sim.number(10..=500);
        let what = sim.choose(&["apples", "pears", "plums"]);
        let late = sim.chance(0.5);
        if pieces >= 137 && *what != "apples" && late {
            panic!("{pieces} {what}");
        }
    });
    says(&failed, "137 pears");
}

#[test]
fn what_is_drawn_lies_in_its_range() {
    holds(200, |sim| async move {
        assert!((3..=5).contains(&sim.number(3..=5)));
        assert!(sim.number(7..8) == 7);
        assert!(!sim.chance(0.0) && sim.chance(1.0));
        assert_eq!(*sim.weighted(&[(0, "never"), (1, "always")]), "always");
    });
    let failed = failure(1, |sim| async move { assert!(sim.number(3..3) > 0) });
    says(&failed, "a number is drawn from a range that holds one");
}
