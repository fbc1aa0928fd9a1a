//! `cargo squall exec`: runs an existing binary, which knows nothing of squall, under many seeds.
//!
//! The kernel comes in as a preloaded library ([`library`]). What kind of program it is ([`program`]) decides what is a test:
//! of a libtest binary each of its tests ([`libtest`]), of every other program the whole, with its exit status as the verdict.
//! [`runs`] starts them and says what became of each. `cargo squall test --existing` comes here too: it makes cargo start its
//! test binaries through this command.

pub mod existing;
mod library;
mod libtest;
mod program;
mod runs;

use crate::status;
use anyhow::{Context, Result, bail};
use program::Kind;
use runs::{Suite, Test};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// How many seeds each test, or the program, runs under (SQUALL_SEEDS).
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// This seed alone (SQUALL_SEED).
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    seed: Option<String>,
    /// How many tests run side by side (SQUALL_JOBS).
    #[arg(long, value_name = "N")]
    jobs: Option<u32>,
    /// Take the binary for a program even if it looks like one of cargo's test binaries: its exit status is the verdict.
    #[arg(long)]
    whole: bool,
    /// Cargo started this for one of its test binaries.
    #[arg(long, hide = true)]
    by_cargo: bool,
    /// The binary and its arguments.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "BINARY"
    )]
    command: Vec<OsString>,
}

/// `cargo squall exec`.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let (binary, rest) = arguments
        .command
        .split_first()
        .context("say which binary to run, as in `cargo squall exec -- target/debug/server`")?;
    let binary = find(binary)?;
    let kind = program::look_at(&binary)?;
    let kind = match kind {
        _ if arguments.by_cargo && (kind == Kind::Linked || !existing::is_test_binary(&binary)) => {
            // Its own squall tests run as they do under `cargo test`, and so do the others; and an example in the documentation
            // has its own verdict, which rustdoc makes.
            return Err(become_it(&binary, rest));
        }
        Kind::Linked => bail!(
            "{} was built with squall in it, and a program cannot have two kernels; run its tests with `cargo squall test`",
            binary.display()
        ),
        _ if arguments.whole => Kind::Program,
        Kind::Libtest if libtest::only_tells(rest) => return Err(become_it(&binary, rest)),
        kind => kind,
    };
    let tests = match kind {
        Kind::Libtest => libtest::tests(&binary, rest)?,
        _ => vec![Test::whole(&binary, rest)],
    };
    if tests.is_empty() && arguments.by_cargo {
        // As with cargo test: other binaries may have tests.
        return Ok(status::HELD);
    }
    if tests.is_empty() {
        bail!("{} has no test that fits the arguments", binary.display());
    }
    let suite = Suite {
        library: library::path()?,
        variables: variables(arguments),
        jobs: jobs(arguments)?,
        by_cargo: arguments.by_cargo,
        libtest: matches!(kind, Kind::Libtest),
        binary,
    };
    suite.run(&tests)
}

/// Runs the binary in this process's place, without squall; returns only if that cannot be done.
fn become_it(binary: &Path, arguments: &[OsString]) -> anyhow::Error {
    let error = Command::new(binary).args(arguments).exec();
    anyhow::Error::new(error).context(format!("cannot start {}", binary.display()))
}

/// The binary's file: a path, or a name to be looked up as a shell does.
fn find(binary: &OsString) -> Result<PathBuf> {
    let path = Path::new(binary);
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))
    };
    if path.components().count() > 1 {
        if !path.is_file() {
            bail!("there is no program {}", path.display());
        }
        return absolute(path);
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places)
        .map(|place| place.join(path))
        .find(|candidate| candidate.is_file());
    match found {
        Some(found) => absolute(&found),
        None => bail!("there is no program {} in the path", path.display()),
    }
}

/// What the options say, as the variables that the runs read.
fn variables(arguments: &Arguments) -> Vec<(&'static str, String)> {
    let mut set = Vec::new();
    if let Some(seeds) = arguments.seeds {
        set.push(("SQUALL_SEEDS", seeds.to_string()));
    }
    if let Some(seed) = &arguments.seed {
        set.push(("SQUALL_SEED", seed.clone()));
    }
    set
}

fn jobs(arguments: &Arguments) -> Result<usize> {
    let jobs = match (arguments.jobs, std::env::var("SQUALL_JOBS")) {
        (Some(jobs), _) => jobs,
        (None, Ok(text)) => text
            .parse()
            .with_context(|| format!("SQUALL_JOBS={text:?} cannot be used: expected 1 to 1024"))?,
        (None, Err(_)) => 1,
    };
    if !(1..=1024).contains(&jobs) {
        bail!("{jobs} tests side by side are not possible: 1 to 1024 are");
    }
    Ok(jobs as usize)
}
