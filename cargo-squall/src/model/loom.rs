//! Builds the tests with models for loom: with `--cfg loom`, in a target directory of its own, and nothing besides: other tests of the package need not
//! compile so.

use crate::options::{self, About, Known};
use crate::workspace::cargo;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is added to the flags of the compiler.
const FLAGS: [&str; 2] = ["--cfg", "loom"];

/// Options that this command sets itself, or that say nothing to loom.
const OWN: [&str; 4] = [
    "--manifest-path",
    "--target-dir",
    "--points",
    "--message-format",
];

/// Where the build is kept.
pub fn target_dir(home: &Path) -> PathBuf {
    home.join("loom")
}

/// The test program of a target of a package; `None` if it does not compile, which cargo has told.
pub fn build(
    package: &Path,
    target: &str,
    home: &Path,
    words: &[OsString],
) -> Result<Option<PathBuf>> {
    let mut command = Command::new(cargo());
    command
        .args([
            "test",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir(home))
        .args(kept(words))
        .args(selector(target));
    flags(&mut command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        eprintln!(
            "squall: {} of {} does not compile with --cfg loom, so loom runs no model of it. tokio has no network then: what depends on it goes under \
             [target.'cfg(not(loom))'.dev-dependencies], or the models into a package of their own (docs/models.md)",
            selector(target).join(" "),
            package.display()
        );
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut built = text.lines().filter_map(program);
    let built = built.find(|(of, _)| of == target);
    let (_, executable) = built.context("cargo does not say where the test program is")?;
    Ok(Some(executable))
}

/// The target and the path of the test program that a message of cargo's tells of.
fn program(line: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        profile: Profile,
        target: Target,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    #[derive(Deserialize)]
    struct Target {
        kind: Vec<String>,
        name: String,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    let executable = message.executable.filter(|_| message.profile.test)?;
    let Target { kind, name } = message.target;
    let target = match kind.first()?.as_str() {
        kind @ ("test" | "bin") => format!("{kind} {name}"),
        _ => "lib".to_owned(),
    };
    Some((target, executable))
}

/// The options that choose a target.
pub fn selector(target: &str) -> Vec<String> {
    match target.split_once(' ') {
        Some((kind, name)) => vec![format!("--{kind}"), name.to_owned()],
        None => vec![format!("--{target}")],
    }
}

/// What of `cargo test`'s arguments does not choose: profile, features and such.
fn kept(words: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        let Known { about, valued } = options::cargo(name);
        let value = (valued && *text == *name).then(|| words.next()).flatten();
        let short = text.starts_with("-p") && !text.starts_with("--");
        let chooses = matches!(about, About::Some | About::All) || short;
        if !text.starts_with('-') || chooses || OWN.contains(&name) {
            continue;
        }
        kept.push(word.clone());
        kept.extend(value.cloned());
    }
    kept
}

/// Adds [`FLAGS`] to what the environment says; flags of configuration files give way to the environment's.
fn flags(command: &mut Command) {
    let (name, value) = added(
        std::env::var_os("CARGO_ENCODED_RUSTFLAGS").as_deref(),
        std::env::var_os("RUSTFLAGS").as_deref(),
    );
    command.env(name, value);
}

fn added(encoded: Option<&OsStr>, plain: Option<&OsStr>) -> (&'static str, OsString) {
    let (name, given, between) = match (encoded, plain) {
        (Some(encoded), _) => ("CARGO_ENCODED_RUSTFLAGS", encoded, "\u{1f}"),
        (None, plain) => ("RUSTFLAGS", plain.unwrap_or_default(), " "),
    };
    let mut value = given.to_owned();
    if !value.is_empty() {
        value.push(between);
    }
    value.push(FLAGS.join(between));
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chooses_is_left_out() {
        let words = [
            "name",
            "-p",
            "shop",
            "--release",
            "--features",
            "x",
            "--test=a",
            "--manifest-path",
            "m",
            "-j1",
            "--points=memory",
            "-pshop",
            "--locked",
        ];
        let kept = kept(&words.map(OsString::from));
        assert_eq!(kept, ["--release", "--features", "x", "-j1", "--locked"]);
    }

    #[test]
    fn flags_of_the_environment_stay() {
        let of = |encoded: Option<&str>, plain: Option<&str>| {
            added(encoded.map(OsStr::new), plain.map(OsStr::new))
        };
        assert_eq!(of(None, None), ("RUSTFLAGS", "--cfg loom".into()));
        assert_eq!(
            of(None, Some("-C debuginfo=1")),
            ("RUSTFLAGS", "-C debuginfo=1 --cfg loom".into())
        );
        assert_eq!(
            of(Some("-C\u{1f}opt-level=1"), Some("-x")),
            (
                "CARGO_ENCODED_RUSTFLAGS",
                "-C\u{1f}opt-level=1\u{1f}--cfg\u{1f}loom".into()
            )
        );
    }

    #[test]
    fn test_programs_are_known_by_their_target() {
        let line = |kind: &str, test: bool| {
            program(&format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"a-b"}},"profile":{{"test":{test}}},"executable":"/x"}}"#
            ))
        };
        assert_eq!(line("test", true), Some(("test a-b".into(), "/x".into())));
        assert_eq!(line("rlib", true), Some(("lib".into(), "/x".into())));
        assert_eq!(line("bin", false), None);
        assert_eq!(selector("test a-b"), ["--test", "a-b"]);
        assert_eq!(selector("lib"), ["--lib"]);
    }
}
