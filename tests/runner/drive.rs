//! Runs a fixture as a process of its own and looks at what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that vanishes with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("run-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The files in it, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a fixture came to.
#[derive(Debug)]
pub struct Ran {
    pub passed: bool,
    pub code: Option<i32>,
    /// Standard output and error together.
    pub text: String,
}

impl Ran {
    /// Asserts that the text holds each of these.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(
                self.text.contains(part),
                "`{part}` is missing in:\n{}",
                self.text
            );
        }
        self
    }

    #[track_caller]
    pub fn failed(&self) -> &Self {
        assert!(!self.passed, "it should have failed:\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn held(&self) -> &Self {
        assert!(self.passed, "it should have passed:\n{}", self.text);
        self
    }

    /// The replay line's command.
    #[track_caller]
    pub fn replay(&self) -> &str {
        let line = self
            .text
            .lines()
            .find_map(|line| line.strip_prefix("replay: "));
        line.unwrap_or_else(|| panic!("there is no replay line in:\n{}", self.text))
    }

    /// Lines with digests, sorted.
    pub fn digests(&self) -> Vec<&str> {
        let lines = self
            .text
            .lines()
            .filter_map(|line| line.split_once("squall: ").map(|(_, rest)| rest));
        let mut digests: Vec<&str> = lines.filter(|line| line.contains(" digest ")).collect();
        digests.sort_unstable();
        digests
    }
}

/// A command that runs fixtures of this program, in an environment without settings.
pub fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_")
            || name.to_string_lossy().starts_with("RUST_")
        {
            command.env_remove(name);
        }
    }
    command
        .env("SQUALL_FAILURES", "off")
        .envs(variables.iter().copied());
    command
}

pub fn outcome(output: &Output) -> Ran {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ran {
        passed: output.status.success(),
        code: output.status.code(),
        text,
    }
}

/// Runs one fixture.
pub fn run(fixture: &str, variables: &[(&str, &str)]) -> Ran {
    let name = format!("fixtures::{fixture}");
    let arguments = [name.as_str(), "--exact", "--ignored", "--nocapture"];
    let ran = outcome(&command(&arguments, variables).output().unwrap());
    assert!(
        ran.text.contains("running 1 test"),
        "there is no fixture {fixture}:\n{}",
        ran.text
    );
    ran
}
