//! Starts cargo, or the command, on the fixture and looks at what comes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    /// Standard output and error together.
    pub text: String,
}

impl Ran {
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }

    #[track_caller]
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(
                self.text.contains(part),
                "`{part}` is missing in:\n{}",
                self.text
            );
        }
    }

    /// The rest of the line that begins so.
    #[track_caller]
    pub fn line(&self, start: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no line begins with `{start}` in:\n{}", self.text))
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// This workspace's target directory.
pub fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("tmp lies in the target directory")
}

/// The bytes of the fixture's `Cargo.lock`.
pub fn lock_file() -> Vec<u8> {
    std::fs::read(fixture("orders").join("Cargo.lock")).unwrap()
}

/// A path of its own for one test; nothing is there.
pub fn scratch(name: &str) -> PathBuf {
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let _ = std::fs::remove_file(&path);
    path
}

/// A command on a fixture, in an environment that tells of nothing else.
fn prepared(at: &str, mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        // What cargo told this test is not meant for another cargo.
        let ours = [
            "SQUALL_",
            "CARGO_SQUALL",
            "CARGO_PKG_",
            "CARGO_MANIFEST",
            "RUST_BACKTRACE",
        ];
        if ours.iter().any(|start| name_text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(fixture(at))
        .env("CARGO_TARGET_DIR", target())
        .env("SQUALL_FAILURES", "off");
    command
}

fn run(at: &str, command: Command, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = prepared(at, command)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ran {
        code: output.status.code(),
        text: text.concat(),
    }
}

/// `cargo` on the fixture, with stock tokio.
pub fn cargo_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    cargo_at("orders", arguments, variables)
}

/// `cargo` on a fixture.
pub fn cargo_at(fixture: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    run(fixture, Command::new(env!("CARGO")), arguments, variables)
}

/// `cargo squall` on the fixture.
pub fn squall_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    squall_at("orders", arguments, variables)
}

/// `cargo squall` on a fixture.
pub fn squall_at(fixture: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let command = squall_command(fixture);
    run(fixture, command, arguments, variables)
}

/// `cargo squall` on a fixture, to be started by the test itself.
pub fn squall_command(fixture: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-squall"));
    command.arg("squall");
    prepared(fixture, command)
}

/// As [`squall_with`], without variables.
pub fn squall(arguments: &[&str]) -> Ran {
    squall_with(arguments, &[])
}

/// In how many of 1,000 seeds a test of the fixture shows its bug.
pub fn found(with: impl Fn(&[&str], &[(&str, &str)]) -> Ran, test: &str) -> usize {
    found_to_be(with, test).values().sum()
}

/// What a test of the fixture came to, and in how many of 1,000 seeds.
pub fn found_to_be(
    with: impl Fn(&[&str], &[(&str, &str)]) -> Ran,
    test: &str,
) -> BTreeMap<String, usize> {
    let marks = scratch(test);
    let variables = [
        ("FOUND", marks.to_str().unwrap()),
        ("SQUALL_SEEDS", "1000"),
        ("SQUALL_AUDIT", "0"),
    ];
    let ran = with(
        &["test", "--locked", "--test", "tasks", test, "--", "--exact"],
        &variables,
    );
    ran.ended(0).says(&["1 passed"]);
    let text = std::fs::read_to_string(&marks).unwrap_or_default();
    let _ = std::fs::remove_file(&marks);
    let mut seeds = BTreeMap::new();
    for line in text.lines() {
        *seeds.entry(line.to_owned()).or_default() += 1;
    }
    seeds
}
