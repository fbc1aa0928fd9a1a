//! The failing logs that are kept beside the crate: which of them are this test's, and saving one more.

use std::path::{Path, PathBuf};

use super::command;
use super::origin::Origin;
use super::settings::Resolved;
use crate::choice::{Log, LogError};
use crate::sim::parameter::Parameters;

/// Why saved logs cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    /// One of them.
    #[error(transparent)]
    Log(#[from] LogError),
    /// They cannot be listed.
    #[error("cannot read the directory of saved logs {path}: {source}", path = path.display())]
    Failures {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Where the logs of a test are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saved<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) settings: &'a Resolved,
}

impl Saved<'_> {
    /// Where they are; `None` for a test that keeps none.
    fn directory(&self) -> Option<&PathBuf> {
        let kept = self.settings.failures.as_ref();
        kept.filter(|_| !self.origin.should_panic)
    }

    /// Reads a log of this test's.
    pub(crate) fn load(&self, path: &Path) -> Result<(PathBuf, Log), SavedError> {
        let log = Log::load(path)?;
        log.check_origin(path, &self.origin.package, &self.origin.test)?;
        Ok((path.to_owned(), log))
    }

    /// This test's saved logs, in the order of their names.
    pub(crate) fn all(&self) -> Result<Vec<(PathBuf, Log)>, SavedError> {
        let Some(directory) = self.directory() else {
            return Ok(Vec::new());
        };
        let unreadable = |source| SavedError::Failures {
            path: directory.clone(),
            source,
        };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let prefix = self.origin.log_prefix();
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            // Sixteen digits of the signature's hash stand between the test's name and the ending.
            let ours = name
                .strip_suffix(".log")
                .and_then(|name| name.rsplit_once('-'));
            if ours.is_some_and(|(test, _)| test == prefix) {
                paths.push(path);
            }
        }
        paths.sort();
        let loaded: Result<Vec<_>, _> = paths.iter().map(|path| self.load(path)).collect();
        let mut logs = loaded?;
        let before = logs.len();
        // Where tokio asks for the order of tasks, other decisions are taken than where it does not, and so where runs may
        // switch elsewhere.
        let here = self.settings.describe(&Parameters::default());
        let here = command::kind(&here);
        logs.retain(|(_, log)| command::kind(&log.header.config) == here);
        if logs.len() < before {
            eprintln!(
                "squall: {}: {} saved logs are of runs that were started otherwise (on another engine, with or without `cargo squall`, or with \
                 other `--points`) and are left out",
                self.origin.test,
                before - logs.len()
            );
        }
        Ok(logs)
    }

    /// Saves a log; returns its path and what to say about it.
    pub(crate) fn keep(&self, log: &Log) -> (Option<PathBuf>, Option<String>) {
        let Some(directory) = self.directory() else {
            return (None, None);
        };
        let name = format!(
            "{}-{:016x}.log",
            self.origin.log_prefix(),
            hash(&log.header.signature)
        );
        let path = directory.join(name);
        match log.save(&path) {
            Ok(()) => {
                let shown = self.origin.relative(&path).display();
                let said = format!(
                    "{shown} (runs first from now on; commit it, or delete it when it is mended)"
                );
                (Some(path), Some(said))
            }
            Err(error) => (None, Some(format!("not saved: {error}"))),
        }
    }
}

/// FNV-1a, for names of files.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
