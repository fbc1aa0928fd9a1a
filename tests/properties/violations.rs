//! A property that does not hold ends the run with a verdict of its own: told, shrunk, kept and replayed as a panic is.

use super::drive::{Scratch, run};

#[test]
fn a_violation_is_told_with_its_values_shrunk_kept_and_replayed() {
    let scratch = Scratch::new();
    let failures = scratch.path().to_str().unwrap();
    let ran = run("violates", &[("SQUALL_FAILURES", failures)]);
    ran.failed().says(&[
        "failed with seed 0x",
        ": violated: no update is lost, stated at tests/properties/fixtures.rs:1:1\n",
        "\n    an update was lost\n    count = 1\n    at ",
        "backtrace:\n    properties::fixtures::violates",
        "shrunk from ",
        "| violated: no update is",
        "replay: SQUALL_REPLAY=",
    ]);
    let log = &scratch.files()[0];
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("\nsignature: no update is lost\n"), "{text}");
    run("violates", &[("SQUALL_REPLAY", log.to_str().unwrap())])
        .failed()
        .says(&[": violated: no update is lost,", "count = 1"]);
}

#[test]
fn everywhere() {
    let ways: [&[(&str, &str)]; 3] = [
        &[("SQUALL_ISOLATION", "process"), ("SQUALL_SHRINK", "off")],
        &[("SQUALL_THREADS", "os"), ("SQUALL_SHRINK", "off")],
        &[("SQUALL_AUDIT", "100"), ("SQUALL_SHRINK", "off")],
    ];
    for way in ways {
        run("violates", way)
            .failed()
            .says(&["violated: no update is lost", "count = 1"]);
        run("violates_on_a_host", way).failed().says(&[
            ": violated: the shop is open\n",
            "\n    it is closed\n    at 1 s",
        ]);
    }
}
