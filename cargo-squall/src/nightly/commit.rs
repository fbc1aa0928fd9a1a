//! The name of what is tested: the commit, and whether files differ from it.

use super::seeds::fnv;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// What services call the commit where there is no git.
const VARIABLES: [&str; 3] = ["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT"];

/// The name of what lies in this directory; `given` takes precedence.
pub fn name(given: Option<&str>, root: &Path) -> Result<String> {
    let found = match given {
        Some(given) => Some(given.to_owned()),
        None => of_git(root).or_else(|| VARIABLES.iter().find_map(|name| std::env::var(name).ok())),
    };
    let name = found.context(
        "there is no git repository here to tell which commit this is: give --commit NAME",
    )?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
        bail!("`{name}` cannot name a commit: letters, digits, `-`, `_` and `.` can");
    }
    Ok(name)
}

fn of_git(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then_some(output.stdout)
    };
    let head = String::from_utf8(git(&["rev-parse", "HEAD"])?).ok()?;
    let head = head.trim();
    let changes = git(&["diff", "HEAD"])?;
    Some(match changes.is_empty() {
        true => head.to_owned(),
        // Other code may behave otherwise: it has seeds and records of its own.
        false => format!("{head}-changed-{:08x}", fnv(&changes) >> 32),
    })
}
