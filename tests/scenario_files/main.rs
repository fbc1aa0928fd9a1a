//! Scenario files that cannot be used: a hundred made by hand in `bad/`, each of which says in its first line where it is wrong and how
//! that is told, and any number made by chance from good ones. None of them may panic. Choice logs likewise.

mod bad;
mod chance;
#[allow(dead_code)]
#[path = "../runner/drive.rs"]
mod drive;
mod schema;

mod fixtures {
    /// A test for the test below.
    #[squall::scenario("tests/scenario_files/too_slow.toml")]
    #[ignore]
    async fn too_slow(_: squall::Sim, scenario: squall::Scenario) {
        let slow = |_| tokio::time::sleep(std::time::Duration::from_millis(5));
        scenario.traffic("buy").run(slow).await;
    }
}

/// The place of a threshold is the file's: that is what somebody will change.
#[test]
fn a_threshold_that_does_not_hold_is_told_with_its_place_in_the_file() {
    drive::run("too_slow", &[("SQUALL_SHRINK", "off")])
        .failed()
        .says(&["p99 < 1ms", "tests/scenario_files/too_slow.toml:6:10\n"]);
}
