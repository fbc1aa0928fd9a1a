//! The answer to `cargo squall list`: where [`LIST`] is set, the program writes its tests down before its `main` and ends, so that
//! nothing of it runs, not even a test that is none of squall's.

use super::catalogue::TESTS;
use super::origin::{Engines, Origin};
use crate::kernel::abi::{early, real::process};
use serde::Serialize;
use std::fmt::Write as _;

/// Set by the command: the file that takes the tests, an object of JSON a line, and after the last an empty one.
const LIST: &str = "CARGO_SQUALL_LIST";

early::before_main!(answer);

/// Every test's call comes by here, so that the linker keeps this file's object.
pub(super) fn keep() {}

/// A test as it is told.
#[derive(Serialize)]
struct Told<'a> {
    package: &'a str,
    target: &'a str,
    name: &'a str,
    manifest_dir: &'a str,
    file: &'a str,
    line: u32,
    ignored: bool,
    should_panic: bool,
    scenario: Option<&'a str>,
    model: Option<Engines>,
}

fn answer() {
    // Almost every start of a program comes by here and goes on.
    let Some(path) = std::env::var_os(LIST) else {
        return;
    };
    let mut text = String::new();
    for site in TESTS {
        let origin = Origin::of(site);
        let told = Told {
            package: site.package,
            target: &origin.target,
            name: &origin.test,
            manifest_dir: site.manifest_dir,
            file: site.file,
            line: site.line,
            ignored: site.ignored,
            should_panic: site.should_panic,
            scenario: site.scenario,
            model: site.model,
        };
        let line = serde_json::to_string(&told).expect("squall bug: a test that is no JSON");
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    if let Err(error) = std::fs::write(&path, text) {
        eprintln!(
            "squall: cannot list the tests in {}: {error}",
            path.display()
        );
        process::exit_now(2);
    }
    process::exit_now(0);
}
