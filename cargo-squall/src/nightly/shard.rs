//! Which part of a nightly run this process has: `i/n`, told by an option or by what started the process.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One of several processes that share the seeds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// From 0 on.
    pub index: u64,
    pub of: u64,
}

/// The whole.
pub const WHOLE: Shard = Shard { index: 0, of: 1 };

/// What an index comes from: its variable, those that say how many there are, and the variable of the first index.
struct Source {
    index: &'static str,
    counts: &'static [&'static str],
    first: Option<&'static str>,
}

/// In the order in which they are asked. GitHub has no variables of its own for a matrix: the job hands the two of ours on.
const SOURCES: [Source; 4] = [
    Source {
        index: "CARGO_SQUALL_SHARD",
        counts: &["CARGO_SQUALL_SHARDS"],
        first: None,
    },
    Source {
        index: "JOB_COMPLETION_INDEX",
        counts: &["JOB_COMPLETIONS"],
        first: None,
    },
    Source {
        index: "SLURM_ARRAY_TASK_ID",
        counts: &["SLURM_ARRAY_TASK_COUNT"],
        first: Some("SLURM_ARRAY_TASK_MIN"),
    },
    Source {
        index: "BUILDKITE_PARALLEL_JOB",
        counts: &["BUILDKITE_PARALLEL_JOB_COUNT"],
        first: None,
    },
];

impl Shard {
    /// What the environment says; the whole if it says nothing.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        let number = |name: &str| -> Result<Option<u64>> {
            let Some(text) = variable(name) else {
                return Ok(None);
            };
            match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => bail!("{name} is `{text}`, but must be a whole number"),
            }
        };
        for source in &SOURCES {
            let Some(index) = number(source.index)? else {
                continue;
            };
            let mut of = None;
            for name in source.counts {
                of = of.or(number(name)?);
            }
            let Some(of) = of else {
                bail!(
                    "{} says which shard this is, but not how many there are: set {} too, or give --shard i/n",
                    source.index,
                    source.counts[0]
                );
            };
            let first = match source.first {
                Some(name) => number(name)?.unwrap_or(0),
                None => 0,
            };
            let Some(index) = index.checked_sub(first).filter(|&index| index < of) else {
                bail!(
                    "{} is {index}, which is none of the {of} shards from {first} on",
                    source.index
                );
            };
            return Ok(Shard { index, of });
        }
        Ok(WHOLE)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (index, of) = text.split_once('/')?;
            Some(Shard {
                index: index.parse().ok()?,
                of: of.parse().ok()?,
            })
        };
        match read() {
            Some(shard) if shard.index < shard.of => Ok(shard),
            Some(shard) => Err(format!(
                "shards are counted from 0: the last of {0} is {1}/{0}",
                shard.of,
                shard.of.saturating_sub(1)
            )),
            None => Err("a shard is i/n, such as 0/8, the first of eight".to_owned()),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Shard> {
        Shard::of_environment(|name| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn the_environment_says_which_shard_this_is() {
        let third = Shard { index: 2, of: 8 };
        assert_eq!(of(&[]).unwrap(), WHOLE);
        let pairs = [
            ("CARGO_SQUALL_SHARD", "CARGO_SQUALL_SHARDS"),
            ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
            ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
            ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"),
        ];
        for (index, count) in pairs {
            assert_eq!(of(&[(index, "2"), (count, "8")]).unwrap(), third);
            assert!(of(&[(index, "8"), (count, "8")]).is_err());
            assert!(of(&[(index, "x"), (count, "8")]).is_err());
            let told = of(&[(index, "2")]).unwrap_err().to_string();
            assert!(told.contains(count), "{told}");
        }
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_COUNT", "8"),
        ];
        assert_eq!(of(&slurm).unwrap(), third);
    }

    #[test]
    fn shards_are_read_and_written() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, of: 8 }));
        for wrong in ["8/8", "0/0", "1", "", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        let text = serde_json::to_string(&WHOLE).unwrap();
        assert_eq!(text, "\"0/1\"");
        assert_eq!(serde_json::from_str::<Shard>(&text).unwrap(), WHOLE);
    }
}
