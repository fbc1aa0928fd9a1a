//! Which tests are meant: what `cargo test`'s arguments say to libtest, read as libtest reads it. For the commands that start tests themselves.

use crate::list::Listed;
use crate::options;
use anyhow::{Result, bail};
use std::ffi::OsString;

/// Which tests are meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter {
    wanted: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    include_ignored: bool,
    ignored: bool,
}

impl Filter {
    /// Reads `cargo test`'s arguments.
    pub fn of(words: &[OsString]) -> Result<Filter> {
        let mut found = Filter::default();
        let mut words = words.iter().map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            match &*word {
                "--" => break,
                option if options::cargo(option).valued => drop(words.next()),
                option if option.starts_with('-') => {}
                name => found.wanted.push(name.to_owned()),
            }
        }
        while let Some(word) = words.next() {
            match &*word {
                "--exact" => found.exact = true,
                "--include-ignored" => found.include_ignored = true,
                "--ignored" => found.ignored = true,
                "--skip" => found
                    .skip
                    .extend(words.next().map(|name| name.into_owned())),
                option if option.starts_with("--skip=") => {
                    found.skip.push(option["--skip=".len()..].to_owned());
                }
                option if option.starts_with('-') => bail!(
                    "after `--`, this takes names of tests, --exact, --skip, --ignored and --include-ignored, not {option}"
                ),
                name => found.wanted.push(name.to_owned()),
            }
        }
        Ok(found)
    }

    /// Whether this test is meant.
    pub fn takes(&self, test: &Listed) -> bool {
        let is = |text: &String| match self.exact {
            true => test.name == *text,
            false => test.name.contains(text.as_str()),
        };
        let ignored = match test.ignored {
            true => self.ignored || self.include_ignored,
            false => !self.ignored,
        };
        ignored
            && (self.wanted.is_empty() || self.wanted.iter().any(is))
            && !self.skip.iter().any(is)
    }
}

/// What is meant for cargo, as it was given: where `--` comes first, clap takes it away.
pub fn with_dashes(words: &[OsString], given: &[OsString]) -> Vec<OsString> {
    let mut words = words.to_vec();
    let dashes = given.iter().position(|word| word == "--");
    if let Some(dashes) = dashes.filter(|_| !words.iter().any(|word| word == "--")) {
        let behind = given.len() - dashes - 1;
        words.insert(words.len().saturating_sub(behind), "--".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Filter {
        Filter::of(&words.iter().map(OsString::from).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn names_are_told_from_options() {
        let filter = of(&[
            "-p",
            "shop",
            "--release",
            "buys",
            "--",
            "--skip",
            "slow",
            "--exact",
        ]);
        assert_eq!(
            (filter.wanted, filter.skip),
            (vec!["buys".to_owned()], vec!["slow".to_owned()])
        );
        assert!(filter.exact && !filter.ignored);
        let filter = of(&["--features=x", "--", "sells", "--include-ignored"]);
        assert_eq!(filter.wanted, ["sells"]);
        assert!(filter.include_ignored);
        assert!(Filter::of(&["--".into(), "--nocapture".into()]).is_err());
    }
}
