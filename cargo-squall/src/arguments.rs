//! What of `cargo test`'s arguments concerns the command too. `launch` hands them in; `workspace` asks cargo with the same.

use crate::options::{self, About, Known};
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
    /// Some tests are left out: by name, package or target, or because they are ignored ones.
    pub selects: bool,
}

impl Arguments {
    /// Reads the arguments of `cargo test` or of `cargo nextest`.
    pub fn of(words: &[OsString]) -> Self {
        let mut found = Arguments::default();
        let mut words = words.iter();
        let mut own = true;
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            let (name, attached) = match text.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (&*text, None),
            };
            let Known { about, valued } = match own {
                true => options::cargo(name),
                false => options::libtest(name),
            };
            found.selects |= !text.starts_with('-') || about == About::Some;
            found.runs_nothing |= about == About::Nothing;
            own &= text != "--";
            let value = match attached {
                None if valued => words.next().cloned(),
                attached => attached,
            };
            if own && about == About::Workspace {
                found.metadata.push(OsStr::new(name).to_owned());
                found.metadata.extend(value.clone());
            }
            if own && name == "--target-dir" {
                found.target_dir = value;
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
    fn what_leaves_tests_out_is_known() {
        let whole: [&[&str]; 6] = [
            &[],
            &["--release", "--features", "x", "-j", "2", "--locked"],
            &["--workspace", "--target-dir", "t", "--config", "a='b'"],
            &["--features=x", "--", "--nocapture"],
            &["--", "--test-threads", "4", "--format=pretty"],
            &["--no-fail-fast", "--color", "never"],
        ];
        let part: [&[&str]; 7] = [
            &["name"],
            &["-p", "x"],
            &["--test=x"],
            &["--lib"],
            &["--", "name"],
            &["--", "--skip=x"],
            &["--", "--test-threads", "4", "name"],
        ];
        assert!(whole.iter().all(|words| !of(words).selects));
        assert!(part.iter().all(|words| of(words).selects));
    }

    #[test]
    fn what_follows_two_dashes_is_for_the_tests() {
        let selects = Arguments {
            selects: true,
            ..Arguments::default()
        };
        assert_eq!(of(&["name", "--", "--manifest-path", "x"]), selects);
        assert!(of(&["--", "--list"]).runs_nothing);
    }
}
