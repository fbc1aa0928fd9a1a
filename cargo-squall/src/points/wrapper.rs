//! This program in place of the compiler: cargo calls it for the crates of the workspace, with the compiler's path and
//! arguments. It adds the instrumentation and becomes the compiler.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The name under which this program is the wrapper.
pub const NAME: &str = "squall-rustc";
/// Holds the user's own wrapper, if there is one.
pub const INNER: &str = "CARGO_SQUALL_INNER_WRAPPER";

/// What has the compiler instrument memory accesses. The pass of ThreadSanitizer comes first: it turns atomic operations into
/// calls, the read-modify-write operations among them, which the coverage pass knows nothing of. Of plain accesses it keeps
/// off, since no function carries its attribute.
pub const FLAGS: &[&str] = &[
    "-Cpasses=function(tsan) sancov-module",
    "-Cllvm-args=-tsan-instrument-func-entry-exit=0",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-trace-pc-guard",
    "-Cllvm-args=-sanitizer-coverage-trace-loads",
    "-Cllvm-args=-sanitizer-coverage-trace-stores",
];

/// Without optimization the compiler uses what other crates have already made of generic functions, those of std's atomics
/// among them, and other crates are not instrumented. It also leaves every local variable in memory.
pub const OPTIMIZED: [&str; 3] = [
    "-Copt-level=2",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];

/// Packages that are squall's own: the harness must not be instrumented with what it harnesses.
const OURS: [&str; 3] = ["squall", "squall-macros", "cargo-squall"];

/// What to add to a call of the compiler.
#[derive(Debug, Default, PartialEq, Eq)]
struct Additions {
    /// The crate's own code is instrumented.
    instrument: bool,
    /// The result is linked, perhaps with instrumented crates, and perhaps without squall.
    link: bool,
    /// The profile does not optimize enough, and leaves these to their defaults without optimization.
    optimize: Vec<&'static str>,
}

impl Additions {
    fn of(package: &str, arguments: &[OsString]) -> Self {
        let mut additions = Additions::default();
        let mut name = String::new();
        let mut types = String::new();
        let mut test = false;
        let mut level = "0".to_owned();
        let mut checks = Vec::new();
        let mut words = arguments.iter().map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (word.into_owned(), None),
            };
            let mut value = || {
                value
                    .clone()
                    .or_else(|| words.next().map(|word| word.into_owned()))
            };
            match &*option {
                "--crate-name" => name = value().unwrap_or_default(),
                "--crate-type" => types = value().unwrap_or_default(),
                "--test" => test = true,
                "-C" | "--codegen" => {
                    let value = value().unwrap_or_default();
                    match value.split_once('=') {
                        Some(("opt-level", to)) => to.clone_into(&mut level),
                        _ => checks.push(value),
                    }
                }
                _ => {}
            }
        }
        // Without a name it is a question to the compiler.
        if name.is_empty() || OURS.contains(&package) {
            return additions;
        }
        let is = |wanted: &str| types.split(',').any(|one| one == wanted);
        // These run while others are compiled, and nothing of them in a simulation.
        let helper = is("proc-macro") || name == "build_script_build";
        additions.instrument = !helper;
        if !helper && !matches!(&*level, "2" | "3") {
            let [optimize, rest @ ..] = OPTIMIZED;
            additions.optimize.push(optimize);
            // What checks there are hangs on the level of optimization, where nothing is said.
            let said = |flag: &&str| {
                let name = flag["-C".len()..].split('=').next().unwrap_or_default();
                checks.iter().any(|check| check.starts_with(name))
            };
            additions
                .optimize
                .extend(rest.into_iter().filter(|flag| level == "0" && !said(flag)));
        }
        additions.link = test || ["bin", "dylib", "cdylib", "proc-macro"].into_iter().any(is);
        additions
    }
}

/// Becomes the compiler; returns only if it cannot be started.
pub fn run(words: Vec<OsString>) -> ExitCode {
    let [this, compiler, arguments @ ..] = &words[..] else {
        eprintln!("squall: {NAME} is for cargo's use");
        return ExitCode::from(crate::status::USAGE);
    };
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let additions = Additions::of(&package, arguments);
    let mut command = match std::env::var_os(INNER) {
        Some(inner) => {
            let mut command = Command::new(inner);
            command.arg(compiler);
            command
        }
        None => Command::new(compiler),
    };
    command.args(arguments);
    if additions.instrument {
        command.args(FLAGS).args(additions.optimize);
    }
    if additions.link {
        let mut flag = OsString::from("-Clink-arg=");
        flag.push(Path::new(this).with_file_name(super::FALLBACK_FILE));
        command.arg(flag);
    }
    let error = command.exec();
    eprintln!(
        "squall: cannot start {}: {error}",
        compiler.to_string_lossy()
    );
    ExitCode::from(crate::status::TROUBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(package: &str, line: &str) -> (bool, bool) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let Additions {
            instrument, link, ..
        } = Additions::of(package, &words);
        (instrument, link)
    }

    #[test]
    fn little_optimized_crates_are_optimized_more_and_keep_their_checks() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            Additions::of("shop", &words).optimize
        };
        assert_eq!(of("--crate-name shop"), OPTIMIZED);
        assert_eq!(
            of("--crate-name shop -C overflow-checks=off"),
            OPTIMIZED[..2]
        );
        assert_eq!(of("--crate-name shop -C opt-level=1"), OPTIMIZED[..1]);
        assert_eq!(of("--crate-name shop -C opt-level=3"), [""; 0]);
    }

    #[test]
    fn crates_are_instrumented_and_programs_linked() {
        assert_eq!(
            of("shop", "--crate-name shop src/lib.rs --crate-type lib"),
            (true, false)
        );
        assert_eq!(
            of("shop", "--crate-name shop src/lib.rs --test"),
            (true, true)
        );
        assert_eq!(
            of("shop", "--crate-name shop --crate-type bin"),
            (true, true)
        );
        assert_eq!(
            of("shop", "--crate-name shop --crate-type=rlib,cdylib"),
            (true, true)
        );
        assert_eq!(
            of("shop", "--crate-name build_script_build --crate-type bin"),
            (false, true)
        );
        assert_eq!(
            of("derive", "--crate-name derive --crate-type proc-macro"),
            (false, true)
        );
        assert_eq!(
            of("squall", "--crate-name squall --crate-type lib"),
            (false, false)
        );
        assert_eq!(of("", "-vV"), (false, false));
    }
}
