//! A whole program as a test: this crate was preloaded into a binary that knows nothing of it, and its `main` is the body.
//!
//! `cargo squall exec` starts the binary with the preloaded library and the variable [`EXEC`]. That process is the
//! coordinator; the zygotes that it starts are the same binary with the same library, and the rest is as for any test. Exit
//! status 0 is what passes. The program's std is another copy than this crate's, so that its panics are read from its output.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::coordinator::Coordinator;
use super::failure::{Failure, Summary};
use super::judge::How;
use super::origin::Origin;
use super::protocol::Job;
use super::scribe::PanicReport;
use super::settings::{Resolved, Settings, Which};
use super::slot::Slot;
use super::start::Start;
use super::verdict::Verdict;
use super::{coordinator, env, protocol, unusable, zygote};
use crate::kernel;
use crate::kernel::abi::real::process;

/// Set by the command: makes the process the coordinator of its own program's runs, and says how to speak of it.
const EXEC: &str = "CARGO_SQUALL_EXEC";
/// Set by a coordinator for its zygotes: the descriptors of its output and error.
const TERMINAL_VARIABLE: &str = "CARGO_SQUALL_TERMINAL";
/// The dynamic loader's own variable.
const PRELOAD: &str = "LD_PRELOAD";
/// What a first thread gets from the system.
const STACK: usize = 8 << 20;

/// Exit statuses, as the contract has them.
const HELD: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const TROUBLE: i32 = 3;

/// What the variable says.
#[derive(Debug, Deserialize)]
struct Exec {
    /// The test's name, for messages and logs.
    test: String,
    /// The package, for logs.
    package: String,
    /// The target, as cargo names it: `lib`, `test NAME`, `bin NAME`.
    target: String,
    /// Where the package is; failing logs are kept beside its manifest. Without one they are not kept.
    manifest_dir: Option<PathBuf>,
    /// The command that runs this again, without the variables before it.
    command: String,
    /// The file that takes the result, as JSON.
    result: PathBuf,
    /// Whether the coordinator's output is the terminal's, for a seed alone to show what it prints.
    show: bool,
    /// What was preloaded besides this library before.
    preload: Option<String>,
}

/// What the command learns.
#[derive(Debug, Serialize)]
enum Told<'a> {
    /// Every seed passed.
    Held { runs: u64 },
    /// A seed failed, or, without one, nothing could be run.
    Failed {
        seed: Option<u64>,
        signature: &'a str,
        text: &'a str,
        survey: Option<Survey>,
    },
}

/// How many seeds fail, and in which ways: counted after the first one did.
#[derive(Debug, Serialize)]
struct Survey {
    runs: u64,
    /// Seeds and signatures.
    failing: Vec<(u64, String)>,
}

/// How many seeds a test gets where nobody says, unless this much wall time is over before.
const SEEDS: u64 = 256;
const BUDGET: Duration = Duration::from_secs(10);
/// How much a program may grow: existing tests reserve tables of gigabytes that they never touch.
const MEMORY: u64 = 64 << 30;
/// How long a survey may take.
const SURVEY: Duration = Duration::from_secs(20);

/// What is asked before a program's `main` runs: the status to end with, if it is not to run as usual.
pub fn enter() -> Option<i32> {
    let told = std::env::var(EXEC).ok()?;
    let exec: Exec = match serde_json::from_str(&told) {
        Ok(exec) => exec,
        Err(error) => {
            eprintln!("squall: {EXEC} is for squall's own use; unset it ({error})");
            return Some(USAGE);
        }
    };
    let origin = Origin::of_program(
        exec.test.clone(),
        exec.package.clone(),
        exec.target.clone(),
        exec.manifest_dir.clone(),
        exec.command.clone(),
    );
    let birth = std::env::var(protocol::ZYGOTE).ok();
    let settings = match settings(&origin, exec.manifest_dir.is_some()) {
        Ok(settings) => settings,
        Err(failure) => return Some(tell(&exec, &Err(failure), None)),
    };
    match birth.map(|text| serde_json::from_str::<protocol::Birth>(&text)) {
        None => {
            if exec.show
                && shown(&settings).is_some()
                && let Err(error) = lend_terminal()
            {
                eprintln!("squall: cannot pass the program's output on: {error}");
                return Some(TROUBLE);
            }
            let result = coordinator::run(&origin, &settings, &[]);
            let replayed = matches!(settings.which, Which::Replay(_));
            let failed = matches!(&result, Err(failure) if failure.seed.is_some()) && !replayed;
            // Where the survey itself fails, the failure is told without it.
            let survey = failed.then(|| survey(&origin, &settings).ok()).flatten();
            Some(tell(&exec, &result, survey))
        }
        Some(Ok(birth)) => {
            clear(&exec);
            let _ = TEST.set(exec.test.clone());
            if let Err(error) = take_terminal() {
                eprintln!(
                    "squall: cannot use {TERMINAL_VARIABLE}, which is for squall's own use: {error}"
                );
                return Some(TROUBLE);
            }
            zygote::serve(&birth, settings, Box::new(body))
        }
        Some(Err(error)) => {
            eprintln!(
                "squall: {} is for squall's own use; unset it ({error})",
                protocol::ZYGOTE
            );
            Some(USAGE)
        }
    }
}

fn settings(origin: &Origin, keep: bool) -> Result<Resolved, Failure> {
    let environment = env::Environment::read().map_err(|error| unusable(&origin.test, error))?;
    let mut settings = Settings::new().keep_failures(keep).memory(Some(MEMORY));
    if environment.seeds.is_none() {
        // A suite has heavy tests among light ones.
        settings = settings.seeds(SEEDS).budget(BUDGET);
    }
    let resolved = Resolved::new(&settings, &environment, origin.failures());
    let resolved = resolved.map_err(|error| unusable(&origin.test, error))?;
    Ok(Resolved {
        program: true,
        ..resolved
    })
}

/// Runs the seeds that were asked for once more, each by itself and all of them, to say how many fail.
fn survey(origin: &Origin, settings: &Resolved) -> Result<Survey, coordinator::Trouble> {
    let seeds = match settings.which {
        Which::Explore { first, seeds, .. } => {
            first..=first.saturating_add(seeds.unwrap_or(u64::MAX) - 1)
        }
        Which::Seed(seed) => seed..=seed,
        Which::Batch(first, last) => first..=last,
        Which::Replay(_) => unreachable!("squall bug: a replay has no seeds"),
    };
    let mut survey = Survey {
        runs: 0,
        failing: Vec::new(),
    };
    let mut coordinator = Coordinator::new(origin, settings, &[])?;
    coordinator.slots.push(Slot::start(origin, &[])?);
    let since = Instant::now();
    for seed in seeds {
        let ended = coordinator.alone(Job::new(seed, 1))?;
        survey.runs += 1;
        if let Some(failed) = ended.failed {
            let way = match &failed.how {
                How::Run(report) => report.verdict.signature(),
                How::Mismatch(_) => "nondeterministic".to_owned(),
            };
            survey.failing.push((seed, way));
        }
        if since.elapsed() > SURVEY {
            break;
        }
    }
    Ok(survey)
}

/// Leaves the program the environment that it would have without squall: what is set for squall may differ from run to run.
fn clear(exec: &Exec) {
    match &exec.preload {
        Some(before) => process::set_variable(PRELOAD, before),
        None => process::forget_variable(PRELOAD),
    }
    // Those that carry something are cleared by who takes it.
    let carriers = [protocol::ZYGOTE, TERMINAL_VARIABLE];
    let ours = |name: &String| {
        let start = ["SQUALL_", "CARGO_SQUALL"]
            .iter()
            .any(|start| name.starts_with(start));
        start && !carriers.contains(&name.as_str())
    };
    let names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(ours)
        .collect();
    for name in names {
        process::forget_variable(&name);
    }
}

/// The test's name.
static TEST: OnceLock<String> = OnceLock::new();
/// The coordinator's own output and error, for a run whose output is shown.
static TERMINAL: OnceLock<[File; 2]> = OnceLock::new();

/// The seed whose run is shown as it goes: the only one that was asked for.
fn shown(settings: &Resolved) -> Option<u64> {
    match settings.which {
        Which::Seed(only) => Some(only),
        Which::Explore {
            first,
            seeds: Some(1),
            ..
        } => Some(first),
        Which::Explore { .. } | Which::Batch(..) | Which::Replay(_) => None,
    }
}

/// Whether a run's output is shown as it comes.
pub(crate) fn shows(settings: &Resolved, seed: u64) -> bool {
    settings.program && shown(settings) == Some(seed)
}

/// Has the zygotes inherit the coordinator's output and error: the same open files, since what is opened anew by its path has a
/// position of its own.
fn lend_terminal() -> std::io::Result<()> {
    let lent = [process::pass_on(1)?, process::pass_on(2)?];
    process::set_variable(TERMINAL_VARIABLE, &format!("{} {}", lent[0], lent[1]));
    Ok(())
}

/// Takes in the zygote what the coordinator lent, if it did.
fn take_terminal() -> std::io::Result<()> {
    let Ok(lent) = std::env::var(TERMINAL_VARIABLE) else {
        return Ok(());
    };
    process::forget_variable(TERMINAL_VARIABLE);
    let fds: Vec<i32> = lent.split(' ').filter_map(|fd| fd.parse().ok()).collect();
    let &[out, err] = fds.as_slice() else {
        return Err(std::io::ErrorKind::InvalidData.into());
    };
    let files = [
        File::from(process::adopt(out)?),
        File::from(process::adopt(err)?),
    ];
    let _ = TERMINAL.set(files);
    Ok(())
}

/// Shows what a run prints. Called inside the kernel.
pub(crate) fn show(fd: i32, bytes: &[u8]) {
    if let Some(files) = TERMINAL.get() {
        // As for any program whose reader has gone, there is nobody to tell.
        let _ = (&files[usize::from(fd == 2)]).write_all(bytes);
    }
}

/// The program is the body.
fn body(_: &Start) -> Result<(), String> {
    let status = kernel::preload::run_program();
    // As libc does when main returns.
    kernel::exit(status)
}

/// The bytes of stack that a program's first thread has.
pub(crate) fn stack(settings: &Resolved) -> usize {
    if settings.program { STACK } else { 0 }
}

/// Tells the command, and says with which status to end.
fn tell(exec: &Exec, result: &Result<Summary, Failure>, survey: Option<Survey>) -> i32 {
    let (told, status) = match result {
        Ok(summary) => (Told::Held { runs: summary.runs }, HELD),
        Err(failure) => {
            eprint!("{}", failure.text);
            let told = Told::Failed {
                seed: failure.seed,
                signature: &failure.signature,
                text: &failure.text,
                survey,
            };
            let status = match super::command::gravity(failure) {
                "failed" => FAILED,
                "unusable" => USAGE,
                _ => TROUBLE,
            };
            (told, status)
        }
    };
    let text = serde_json::to_vec(&told).expect("squall bug: a result is not JSON");
    if let Err(error) = std::fs::write(&exec.result, text) {
        eprintln!(
            "squall: cannot tell `cargo squall` of {}: {}: {error}",
            exec.test,
            exec.result.display()
        );
        return TROUBLE;
    }
    status
}

/// The status with which std ends a program whose first thread panicked, and libtest one in which a test failed.
const PANICKED: i32 = 101;

/// What an end with a status other than 0 is: the panic of the test's own thread, if one led to it.
pub(crate) fn ended(code: i32, panics: &[PanicReport]) -> Verdict {
    // libtest names the thread after the test; others may have panicked before it, and been seen by it or not.
    let test = TEST.get().map_or("main", String::as_str);
    let own = |panic: &&PanicReport| panic.thread == test || panic.thread == "main";
    let cause = panics.iter().rev().find(own).or(panics.last());
    match cause.filter(|_| code == PANICKED) {
        Some(panic) => Verdict::Panicked(panic.clone()),
        None => Verdict::Status { code },
    }
}

/// The panics that std's usual hook printed.
pub(crate) fn panics(output: &str) -> Vec<PanicReport> {
    let mut found = Vec::new();
    let mut lines = output.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((thread, site)) = panic_line(line) else {
            continue;
        };
        let mut message = String::new();
        while let Some(line) = lines.peek() {
            let ends = line.starts_with("note: run with `RUST_BACKTRACE")
                || line.starts_with("stack backtrace:")
                // What libtest has to say of the test.
                || matches!(*line, "ok" | "FAILED")
                || line.starts_with("test ") && line.ends_with(" FAILED")
                || panic_line(line).is_some();
            if ends || line.is_empty() {
                break;
            }
            if !message.is_empty() {
                message.push('\n');
            }
            message.push_str(line);
            lines.next();
        }
        found.push(PanicReport {
            thread: thread.to_owned(),
            site: site.to_owned(),
            message,
            backtrace: None,
        });
    }
    found
}

/// Thread and place out of `thread 'NAME' (NUMBER) panicked at FILE:LINE:COLUMN:`; older compilers leave the number out.
fn panic_line(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.split_once("thread '")?.1.split_once('\'')?;
    let (between, site) = rest.split_once("panicked at ")?;
    let number = between.trim().trim_matches(['(', ')']);
    let site = site.strip_suffix(':')?;
    number
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then_some((thread, site))
}

#[cfg(test)]
mod tests {
    use super::{ended, panics};
    use crate::run::verdict::Verdict;

    #[test]
    fn panics_are_read_from_what_std_prints() {
        let output = "running 1 test\n\nthread 'a::b' (1001) panicked at src/lib.rs:3:5:\nassertion `left == right` failed\n  left: 1\n right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\nthread 'main' panicked at src/x.rs:1:1:\nboom\ntest a::b ... FAILED\n";
        let found = panics(output);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].thread.as_str(), found[0].site.as_str()),
            ("a::b", "src/lib.rs:3:5")
        );
        assert_eq!(
            found[0].message,
            "assertion `left == right` failed\n  left: 1\n right: 2"
        );
        assert_eq!(found[1].site, "src/x.rs:1:1");
        // The panic of the thread that decides, not the one before it.
        assert!(matches!(ended(101, &found), Verdict::Panicked(panic) if panic.message == "boom"));
        assert_eq!(ended(7, &found), Verdict::Status { code: 7 });
        assert_eq!(ended(101, &[]), Verdict::Status { code: 101 });
        assert!(panics("thread 'x' said: nobody panicked at all\n").is_empty());
    }
}
