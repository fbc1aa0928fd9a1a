//! What the command is told: where a search begins, how far it is, and what it came to.

use super::drive::{Scratch, run};
use serde_json::Value;

fn told(fixture: &str, variables: &[(&str, &str)]) -> Vec<Value> {
    let scratch = Scratch::new();
    let file = scratch.path().join("events");
    let events = ("CARGO_SQUALL_REPORT", file.to_str().unwrap());
    run(fixture, &[&[events], variables].concat());
    let text = std::fs::read_to_string(&file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_test_tells_how_far_it_is_and_what_it_came_to() {
    let told = told("passes_async", &[("SQUALL_SEEDS", "20")]);
    assert_eq!(told[0]["event"], "progress");
    assert_eq!(told[0]["total"], 20);
    let last = told.last().unwrap();
    assert_eq!(
        (&last["event"], &last["word"]),
        (&Value::from("ended"), &Value::from("held"))
    );
    assert_eq!(last["runs"], 20);
    // An hour each.
    assert!(
        last["simulated"].as_u64() > Some(20 * 3_600_000_000_000),
        "{last}"
    );
    assert_eq!(last["test"]["name"], "fixtures::passes_async");
    assert_eq!(last["test"]["target"], "test runner");
}

#[test]
fn a_failure_is_told_with_its_seed_signature_and_reports() {
    let told = told("panics", &[("SQUALL_REPORT", "off")]);
    let last = told.last().unwrap();
    let failure = &last["failure"];
    assert_eq!(last["word"], "failed");
    assert!(
        failure["signature"]
            .as_str()
            .unwrap()
            .starts_with("panic at "),
        "{last}"
    );
    assert!(
        failure["headline"]
            .as_str()
            .unwrap()
            .ends_with("an update was lost"),
        "{last}"
    );
    assert_eq!(failure["reports"], Value::Array(Vec::new()));
    assert!(failure["text"].as_str().unwrap().contains("\nreplay: "));
}

#[test]
fn a_search_begins_where_it_is_told_to_and_its_seeds_are_the_same_there() {
    let digests = |variables: &[(&str, &str)]| -> Vec<String> {
        let variables = [&[("SQUALL_DIGEST", "1")], variables].concat();
        let ran = run("passes", &variables);
        let digests = ran.held().digests();
        digests.into_iter().map(str::to_owned).collect()
    };
    let later = digests(&[("SQUALL_FIRST", "0x10"), ("SQUALL_SEEDS", "16")]);
    let all = digests(&[("SQUALL_SEEDS", "32")]);
    let wanted: Vec<&String> = (16..32)
        .filter_map(|seed| {
            all.iter()
                .find(|line| line.contains(&format!(" seed {seed:#x} ")))
        })
        .collect();
    assert_eq!(later.len(), 16);
    for line in wanted {
        assert!(later.contains(line), "{line} is missing in {later:?}");
    }
    run("passes", &[("SQUALL_FIRST", "1"), ("SQUALL_SEED", "1")])
        .failed()
        .says(&["SQUALL_SEED and SQUALL_FIRST are both set"]);
    run(
        "passes",
        &[("SQUALL_FIRST", "1"), ("SQUALL_STRATEGY", "exhaustive")],
    )
    .failed()
    .says(&["SQUALL_FIRST"]);
}
