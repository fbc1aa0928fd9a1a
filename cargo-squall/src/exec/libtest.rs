//! The tests of a libtest binary: which there are, and the arguments that run one of them.

use super::runs::Test;
use crate::options::{self, About};
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

/// The binary's own flags that choose among its tests.
struct Choice {
    /// What `--list` is to be asked with: names, `--exact`, `--skip`.
    words: Vec<OsString>,
    /// `--ignored` or `--include-ignored`.
    ignored: Option<&'static str>,
    /// None is to run.
    tells: bool,
}

impl Choice {
    fn of(arguments: &[OsString]) -> Choice {
        let mut choice = Choice {
            words: Vec::new(),
            ignored: None,
            tells: false,
        };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            match &*word.to_string_lossy() {
                "--ignored" => choice.ignored = Some("--ignored"),
                "--include-ignored" => choice.ignored = Some("--include-ignored"),
                "--exact" => choice.words.push(word.clone()),
                "--skip" => {
                    choice.words.push(word.clone());
                    choice.words.extend(rest.next().cloned());
                }
                option if options::libtest(option).about == About::Nothing => choice.tells = true,
                option if options::libtest(option).valued => {
                    rest.next();
                }
                text if text.starts_with("--skip=") || !text.starts_with('-') => {
                    choice.words.push(word.clone());
                }
                // How libtest prints, and how many tests it runs at a time, is squall's business here.
                _ => {}
            }
        }
        choice
    }
}

/// Whether with these arguments no test runs: the binary lists its tests, or tells of its options.
pub fn only_tells(arguments: &[OsString]) -> bool {
    Choice::of(arguments).tells
}

/// The tests that libtest would run with these arguments.
pub fn tests(binary: &Path, arguments: &[OsString]) -> Result<Vec<Test>> {
    let choice = Choice::of(arguments);
    let mut names = list(binary, &choice.words, choice.ignored)?;
    if choice.ignored.is_none() {
        let ignored: HashSet<String> = list(binary, &choice.words, Some("--ignored"))?
            .into_iter()
            .collect();
        names.retain(|name| !ignored.contains(name));
    }
    let test = |name: String| {
        let mut words: Vec<OsString> = ["--exact", "--nocapture", "--test-threads=1"]
            .map(OsString::from)
            .to_vec();
        words.insert(0, OsString::from(&name));
        words.extend(choice.ignored.map(OsString::from));
        Test { name, words }
    };
    Ok(names.into_iter().map(test).collect())
}

fn list(binary: &Path, words: &[OsString], ignored: Option<&str>) -> Result<Vec<String>> {
    let output = Command::new(binary)
        .args(["--list", "--format=terse"])
        .args(ignored)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    if !output.status.success() {
        bail!(
            "{} does not list its tests ({}); if it is no test binary of cargo's, say --whole",
            OsStr::new(binary).to_string_lossy(),
            output.status
        );
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_runs_no_test() {
        let tells =
            |words: &[&str]| only_tells(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(
            tells(&["pool", "--list"]) && tells(&["-h"]) && tells(&["--skip", "slow", "--help"])
        );
        assert!(!tells(&["pool", "list"]) && !tells(&["--skip", "--list"]) && !tells(&[]));
    }

    #[test]
    fn only_what_chooses_is_handed_on() {
        let words = [
            "pool",
            "--skip",
            "slow",
            "--test-threads",
            "8",
            "--nocapture",
            "--exact",
            "--include-ignored",
            "--format=json",
        ];
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let choice = Choice::of(&words);
        assert_eq!(choice.words, ["pool", "--skip", "slow", "--exact"]);
        assert_eq!(choice.ignored, Some("--include-ignored"));
    }
}
