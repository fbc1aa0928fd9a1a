//! Parameters: set by the environment or the default, of the type of the default, and a part of every failure.

use super::drive::{Scratch, run};

#[test]
fn a_parameter_is_what_is_set_or_else_its_default() {
    run("asks_for_a_pool", &[]).held();
    let set = r#"{"pool":16,"patience":"2s","nobody asks":true}"#;
    run("asks_for_a_pool", &[("SQUALL_PARAMETERS", set)]).held();
    let ran = run(
        "asks_for_a_pool",
        &[("SQUALL_PARAMETERS", r#"{"pool":"many"}"#)],
    );
    ran.failed().says(&[
        "the parameter pool is set to \"many\", and the test reads a whole number from 0 to 4294967295",
    ]);
    run("asks_for_a_pool", &[("SQUALL_PARAMETERS", "pool=4")])
        .failed()
        .says(&[
            "could not be run: SQUALL_PARAMETERS=\"pool=4\" cannot be used: expected an object of JSON",
        ]);
}

#[test]
fn a_failure_has_the_parameters_of_its_run() {
    let scratch = Scratch::new();
    let failures = scratch.path().to_str().unwrap();
    let set = ("SQUALL_PARAMETERS", r#"{"policy": "give up", "pool": 4}"#);
    let off = ("SQUALL_SHRINK", "off");
    // Where nothing is kept, the seed runs again with them.
    run("asks_for_a_pool", &[set, off]).failed().says(&[
        "a pool of 4",
        r#"SQUALL_PARAMETERS='{"policy":"give\u0020up","pool":4}' cargo test"#,
    ]);
    // A log has them itself, whatever is set when it is replayed.
    run("asks_for_a_pool", &[set, ("SQUALL_FAILURES", failures)])
        .failed()
        .says(&["a pool of 4", "replay: SQUALL_REPLAY="]);
    let log = scratch.files()[0].clone();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains(r#" parameters={"policy":"give\\u0020up","pool":4}"#),
        "{text}"
    );
    let log = log.to_str().unwrap();
    for other in ["{}", r#"{"pool":5}"#] {
        run(
            "asks_for_a_pool",
            &[("SQUALL_REPLAY", log), ("SQUALL_PARAMETERS", other)],
        )
        .failed()
        .says(&["a pool of 4"]);
    }
    // So does one that runs first, and is made simpler.
    run("asks_for_a_pool", &[("SQUALL_FAILURES", failures)])
        .failed()
        .says(&["a pool of 4", "(saved earlier, fails still;"]);
    run(
        "asks_for_a_pool",
        &[("SQUALL_REPLAY", log), ("SQUALL_SHRINK", "1s")],
    )
    .failed()
    .says(&["a pool of 4"]);
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains(" parameters={"), "{text}");
}
