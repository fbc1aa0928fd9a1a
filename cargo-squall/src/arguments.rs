//! What of `cargo test`'s arguments concerns the command too. `launch` hands them in; `workspace` asks cargo with the same.

use std::ffi::{OsStr, OsString};

/// The arguments that decide which workspace and which versions cargo works with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// For `cargo metadata`: where the manifest is, which configuration holds, whether the network may be used.
    pub metadata: Vec<OsString>,
    /// `--target-dir`, if given.
    pub target_dir: Option<OsString>,
    /// Nothing is to be run: `--no-run`, `--help`, or a list of the tests.
    pub runs_nothing: bool,
}

/// Options with a value that `cargo metadata` takes as well.
const SHARED: [&str; 3] = ["--manifest-path", "--config", "-Z"];

impl Arguments {
    /// Reads the arguments of `cargo test` or of `cargo nextest`.
    pub fn of(words: &[OsString]) -> Self {
        let mut found = Arguments::default();
        let mut words = words.iter();
        let mut own = true;
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if !own {
                found.runs_nothing |= matches!(&*text, "--list" | "--help" | "-h");
                continue;
            }
            let (name, attached) = match text.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (&*text, None),
            };
            match name {
                "--" => own = false,
                "--offline" | "--locked" | "--frozen" => found.metadata.push(word.clone()),
                "--no-run" | "--help" | "-h" => found.runs_nothing = true,
                "--target-dir" => found.target_dir = attached.or_else(|| words.next().cloned()),
                _ if SHARED.contains(&name) => {
                    found.metadata.push(OsStr::new(name).to_owned());
                    found
                        .metadata
                        .extend(attached.or_else(|| words.next().cloned()));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Arguments {
        Arguments::of(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_concerns_the_workspace_is_found() {
        let found = of(&[
            "--manifest-path",
            "a/Cargo.toml",
            "--release",
            "--config=x.y='z'",
            "--offline",
            "--target-dir=t",
        ]);
        assert_eq!(
            found.metadata,
            [
                "--manifest-path",
                "a/Cargo.toml",
                "--config",
                "x.y='z'",
                "--offline"
            ]
        );
        assert_eq!(found.target_dir, Some("t".into()));
        assert!(!found.runs_nothing);
    }

    #[test]
    fn what_follows_two_dashes_is_for_the_tests() {
        assert_eq!(
            of(&["name", "--", "--manifest-path", "x"]),
            Arguments::default()
        );
        assert!(of(&["--", "--list"]).runs_nothing);
    }
}
