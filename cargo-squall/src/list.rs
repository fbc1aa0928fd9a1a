//! `cargo squall list`: every test of squall's in the workspace. The test binaries are built as `cargo squall test` builds them, and each
//! that holds squall is asked; it answers before its `main` (`src/run/listing.rs` of the library), so nothing runs.

use crate::launch;
use crate::workspace::cargo;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the file that a test binary writes its tests to, in place of running.
const LIST_VARIABLE: &str = "CARGO_SQUALL_LIST";

/// What `cargo squall list` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// As JSON: a list of objects.
    #[arg(long)]
    json: bool,
    /// What `cargo test` takes to choose what is built, such as `-p PACKAGE` or `--release`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CARGO TEST ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

/// A test as its binary tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Listed {
    pub package: String,
    /// `lib`, `test NAME` or `bin NAME`.
    pub target: String,
    /// Its path within the target.
    pub name: String,
    /// The directory of the package's `Cargo.toml`.
    pub manifest_dir: PathBuf,
    /// The file as the compiler knows it: from the workspace's root, or absolute.
    pub file: PathBuf,
    pub line: u32,
    pub ignored: bool,
    pub should_panic: bool,
    /// The scenario file that it is bound to, from `manifest_dir`.
    pub scenario: Option<PathBuf>,
    /// Which engines run it, if it is a model.
    #[serde(default)]
    pub model: Option<Engines>,
    /// The test binary.
    #[serde(default)]
    pub executable: PathBuf,
}

/// Which engines run a model.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Engines {
    pub kernel: bool,
    pub loom: bool,
}

impl Listed {
    /// A program with the test in it as cargo would start it, the test's own or one that was built otherwise.
    pub fn command(&self, executable: &Path) -> Command {
        let mut command = Command::new(executable);
        command
            .current_dir(&self.manifest_dir)
            .env("CARGO", cargo())
            .env("CARGO_MANIFEST_DIR", &self.manifest_dir)
            .env("CARGO_PKG_NAME", &self.package)
            .env("LD_LIBRARY_PATH", libraries(executable));
        command
    }
}

/// Where dynamic libraries of the build lie, as cargo tells it to what it runs.
fn libraries(executable: &Path) -> OsString {
    let deps = executable.parent().unwrap_or(Path::new("/"));
    let mut paths = vec![deps.to_owned()];
    paths.extend(deps.parent().map(Path::to_owned));
    if let Some(given) = std::env::var_os("LD_LIBRARY_PATH") {
        paths.extend(std::env::split_paths(&given));
    }
    std::env::join_paths(paths).unwrap_or_default()
}

/// The tests, in order of package, target and name.
///
/// # Errors
/// The tests cannot be built, or a binary does not answer.
pub fn tests(words: &[OsString]) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    for executable in launch::executables(words)? {
        if holds_squall(&executable)? {
            found.extend(ask(&executable)?);
        }
    }
    found.sort();
    Ok(found)
}

/// `cargo squall list`.
pub fn run(asked: &Arguments) -> Result<u8> {
    let tests = tests(&asked.arguments)?;
    if asked.json {
        let text =
            serde_json::to_string_pretty(&tests).context("cannot put the tests into JSON")?;
        println!("{text}");
        return Ok(crate::status::HELD);
    }
    let mut before = None;
    for test in &tests {
        let target = (&test.package, &test.target);
        if before != Some(target) {
            println!("{} {}", test.package, test.target);
            before = Some(target);
        }
        let ignored = if test.ignored { ", ignored" } else { "" };
        let scenario = test
            .scenario
            .as_ref()
            .map(|file| format!(", by {}", file.display()));
        println!(
            "  {}  {}:{}{ignored}{}{}",
            test.name,
            test.file.display(),
            test.line,
            scenario.unwrap_or_default(),
            model(test)
        );
    }
    if tests.is_empty() {
        eprintln!("squall: there are no tests with #[squall::test]");
    }
    Ok(crate::status::HELD)
}

/// What is said of a model.
fn model(test: &Listed) -> &'static str {
    match test.model {
        None => "",
        Some(Engines { loom: false, .. }) => ", a model for the kernel",
        Some(Engines { kernel: false, .. }) => ", a model for loom",
        Some(_) => ", a model",
    }
}

/// Whether the program would answer. One that does not know of squall would run its tests instead.
fn holds_squall(executable: &Path) -> Result<bool> {
    let bytes = std::fs::read(executable)
        .with_context(|| format!("cannot read {}", executable.display()))?;
    Ok(memchr::memmem::find(&bytes, LIST_VARIABLE.as_bytes()).is_some())
}

fn ask(executable: &Path) -> Result<Vec<Listed>> {
    let directory = tempfile::tempdir().context("cannot make a directory for the list")?;
    let file = directory.path().join("tests");
    // Where the answer does not come, this asks any harness for no more than a list.
    let ended = Command::new(executable)
        .arg("--list")
        .env(LIST_VARIABLE, &file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", executable.display()))?;
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let Some(lines) = text.strip_suffix("\n").filter(|_| ended.success()) else {
        bail!("{} does not list its tests ({ended})", executable.display());
    };
    let read = |line: &str| -> Result<Listed> {
        let mut test: Listed = serde_json::from_str(line).with_context(|| {
            format!(
                "{} is built with another version of squall",
                executable.display()
            )
        })?;
        test.executable = executable.to_owned();
        Ok(test)
    };
    lines.lines().map(read).collect()
}
