//! `cargo squall test --existing`: cargo builds the tests as ever and starts each test binary through `cargo squall exec`, as its
//! runner, with the working directory and the environment that tests find under cargo.

use crate::options::{self, About, Known};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::Path;

/// The option that asks for it. It is squall's, not cargo's.
pub const OPTION: &str = "--existing";
/// Hands the options that decide what cargo builds on to the runner, for replay lines: a JSON list.
const OPTIONS_VARIABLE: &str = "CARGO_SQUALL_OPTIONS";
/// Says where runs may switch (`launch`).
const POINTS_VARIABLE: &str = "CARGO_SQUALL_POINTS";
/// The only platform on which simulations run.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// `cargo test`'s arguments without ours; `None` if ours is not among them.
pub fn asked(words: &[OsString]) -> Option<Vec<OsString>> {
    let own = words
        .iter()
        .position(|word| *word == "--")
        .unwrap_or(words.len());
    let at = words[..own].iter().position(|word| *word == OPTION)?;
    let mut rest = words.to_vec();
    rest.remove(at);
    Some(rest)
}

/// What cargo is told besides: this program as the runner of test binaries, and not to stop at the first that fails.
pub fn settings(words: &[OsString]) -> Result<Vec<OsString>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let program = program
        .to_str()
        .with_context(|| format!("cargo cannot be told of the path {}", program.display()))?;
    // A JSON list of strings is one of TOML.
    let runner = serde_json::to_string(&[program, "squall", "exec", "--by-cargo", "--"])
        .context("cannot put the runner into words")?;
    let mut settings: Vec<OsString> = vec![
        "--config".into(),
        format!("target.{PLATFORM}.runner={runner}").into(),
    ];
    if !words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--no-fail-fast")
    {
        settings.push("--no-fail-fast".into());
    }
    Ok(settings)
}

/// The variable for the runner.
pub fn variable(words: &[OsString]) -> Result<(&'static str, String)> {
    let kept: Vec<String> = building(words)
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let text = serde_json::to_string(&kept).context("cannot put the options into words")?;
    Ok((OPTIONS_VARIABLE, text))
}

/// Those of the arguments that decide what is built.
fn building(words: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut rest = words.iter().take_while(|word| *word != "--");
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        let Known { about, valued } = options::cargo(name);
        if matches!(about, About::Workspace | About::Build) {
            kept.push(word.clone());
            if valued && *text == *name {
                kept.extend(rest.next().cloned());
            }
        }
    }
    kept
}

/// The command that runs a test binary, or one test of it, again, in the runner that cargo started: `None` if it was not started
/// so. Options of libtest may follow.
pub fn again(binary: &Path, test: Option<&String>) -> Option<Vec<String>> {
    let options: Vec<String> = serde_json::from_str(&std::env::var(OPTIONS_VARIABLE).ok()?).ok()?;
    let mut words: Vec<String> = ["cargo", "squall", "test", OPTION]
        .map(str::to_owned)
        .to_vec();
    if let Some(points) = std::env::var(POINTS_VARIABLE)
        .ok()
        .filter(|points| points != "awaits")
    {
        words.extend(["--points".to_owned(), points]);
    }
    words.extend(options);
    if let Ok(package) = std::env::var("CARGO_PKG_NAME") {
        words.extend(["-p".to_owned(), package]);
    }
    let target = target(binary);
    let manifest = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let tests = Path::new(&manifest).join("tests");
    if tests.join(format!("{target}.rs")).is_file() || tests.join(&target).join("main.rs").is_file()
    {
        words.extend(["--test".to_owned(), target]);
    }
    if let Some(test) = test {
        words.extend([test, "--", "--exact"].map(str::to_owned));
    }
    Some(words)
}

/// The name of a test binary's target: cargo puts a hash behind it.
pub fn target(binary: &Path) -> String {
    let stem = binary.file_stem().unwrap_or_default().to_string_lossy();
    let hashed = stem
        .rsplit_once('-')
        .filter(|(_, hash)| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hashed.map_or(&*stem, |(name, _)| name).to_owned()
}

/// Whether cargo built this binary for its tests, rather than rustdoc for one of its examples.
pub fn is_test_binary(binary: &Path) -> bool {
    let directory = binary.parent().and_then(Path::file_name);
    directory.is_some_and(|name| name == "deps" || name == "examples")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_option_is_ours_before_two_dashes_only() {
        let given = words(&["--lib", "--existing", "--", "x"]);
        assert_eq!(asked(&given), Some(words(&["--lib", "--", "x"])));
        assert_eq!(asked(&words(&["--lib", "--", "--existing"])), None);
    }

    #[test]
    fn only_what_decides_the_build_is_kept() {
        let given = words(&[
            "pool",
            "--release",
            "--features",
            "a,b",
            "--profile=x",
            "--test",
            "t",
            "--",
            "--release",
        ]);
        assert_eq!(
            building(&given),
            words(&["--release", "--features", "a,b", "--profile=x"])
        );
    }

    #[test]
    fn a_binary_is_known_by_its_target() {
        assert_eq!(
            target(Path::new("/t/debug/deps/my-shop-40530207dfcd8880")),
            "my-shop"
        );
        assert_eq!(target(Path::new("/t/debug/my-shop")), "my-shop");
        assert!(is_test_binary(Path::new(
            "/t/debug/deps/shop-40530207dfcd8880"
        )));
        assert!(!is_test_binary(Path::new("/tmp/rustdoctest1/rust_out")));
    }
}
