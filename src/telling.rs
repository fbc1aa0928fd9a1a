//! The file in which a program tells the command what it came to: an object of JSON a line. `run/command.rs` tells of tests and, where the
//! command sweeps over parameters, `sim/parameter.rs` and `traffic/told.rs` of runs. Knows nothing of any of them.

use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;

/// Set by the command: the file.
const REPORT: &str = "CARGO_SQUALL_REPORT";
/// Set by the command: it sweeps over parameters, and wants to know of each run's traffic; failures do not end the search.
const SWEEP: &str = "CARGO_SQUALL_SWEEP";

/// Whether a command wants to be told.
pub(crate) fn listens() -> bool {
    std::env::var_os(REPORT).is_some()
}

/// Whether it wants to be told of each run.
pub(crate) fn sweeps() -> bool {
    std::env::var_os(SWEEP).is_some()
}

/// Tells the command, if it listens. Within a run, call it in [`kernel::unseen`](crate::kernel::unseen).
pub(crate) fn tell(event: &impl Serialize) {
    let Some(path) = std::env::var_os(REPORT) else {
        return;
    };
    let mut line = serde_json::to_string(event).expect("squall bug: an event that is no JSON");
    // One write, so that lines of tests that end at the same time do not mix. The command counts what is there: a line
    // that cannot be written is missed there.
    line.push('\n');
    let file = OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!(
            "squall: cannot tell `cargo squall`: {}: {error}",
            path.display()
        );
    }
}
