//! Files made by chance. `fuzz/` has the same for cargo-fuzz.

use proptest::prelude::*;
use squall::Scenario;

const GOOD: &str = include_str!("good.toml");

#[test]
fn the_good_file_is_good() {
    Scenario::parse("good.toml", GOOD).expect("it is good");
}

/// A place in a text, on the boundary of a character.
fn place(text: &str, at: usize) -> usize {
    let mut at = at % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pieces of the good file cut out, doubled, and replaced by odd ones.
    #[test]
    fn no_change_of_a_good_file_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "(?s)[a-z\\[\\]{}\"'=.,0-9\\n#é-]{0,6}"), 1..5)
    ) {
        let mut text = GOOD.to_owned();
        for (at, length, with) in changes {
            let from = place(&text, at.index(text.len() + 1));
            let to = place(&text, (from + length).min(text.len())).max(from);
            text.replace_range(from..to, &with);
        }
        if let Err(error) = Scenario::parse("x.toml", &text) {
            prop_assert!(error.line() >= 1 && error.column() >= 1);
            prop_assert!(error.line() <= text.lines().count() + 1, "{}", error);
            prop_assert!(error.to_string().starts_with("x.toml:"), "{}", error);
        }
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        let _ = Scenario::parse("x.toml", &text);
    }
}
