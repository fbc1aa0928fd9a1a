//! A saved choice log: what it holds, reading and writing its file.
//!
//! `run` writes one for each failing seed and reads them back for `SQUALL_REPLAY` and for the logs kept beside the crate.
//! The text itself is in `text`. Every way in which a file can be wrong ends in a [`LogError`] that says what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::{Decision, Guide, text};
use crate::explore;
use crate::kernel::Domain;

/// The most decisions that a log keeps. A longer run is replayed from its seed; its log says how much it lacks.
pub const MAX_DECISIONS: usize = 1 << 18;

/// What a log says of the run that it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The cargo package of the test.
    pub package: String,
    /// The test binary within the package: `lib`, `test NAME`, `bin NAME`.
    pub target: String,
    /// The test's path within the binary.
    pub test: String,
    /// The seed, which also answers what the log does not.
    pub seed: u64,
    /// The strategy that ordered the threads.
    pub strategy: explore::Name,
    /// What the strategy knew of the test.
    pub profile: explore::Profile,
    /// The settings that the run depended on, in words.
    pub config: String,
    /// The digest of the run.
    pub digest: u64,
    /// How the run failed: the verdict's signature.
    pub signature: String,
}

/// The decisions of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Where they come from.
    pub header: Header,
    /// How many decisions were left out because the log had reached [`MAX_DECISIONS`].
    pub omitted: u64,
    /// A shrunk run: where it departs from the plainest course. Such a log lists no decisions.
    pub guide: Option<Guide>,
    decisions: [Vec<Decision>; Domain::ALL.len()],
    kept: usize,
}

impl Log {
    /// A log without decisions.
    pub fn new(header: Header) -> Self {
        Log {
            header,
            omitted: 0,
            guide: None,
            decisions: Default::default(),
            kept: 0,
        }
    }

    /// Appends a decision; beyond [`MAX_DECISIONS`] it is only counted.
    pub fn push(&mut self, domain: Domain, decision: Decision) {
        if self.kept < MAX_DECISIONS {
            self.kept += 1;
            self.decisions[domain as usize].push(decision);
        } else {
            self.omitted += 1;
        }
    }

    /// The decisions of a domain, in order.
    pub fn decisions(&self, domain: Domain) -> &[Decision] {
        &self.decisions[domain as usize]
    }

    /// How many decisions the log keeps, over all domains.
    pub fn len(&self) -> usize {
        self.kept
    }

    /// Whether the log keeps no decision at all.
    pub fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// The log as the text of its file.
    pub fn to_text(&self) -> String {
        text::write(self)
    }

    /// Reads the text of a file.
    pub fn from_text(text: &str) -> Result<Self, Flaw> {
        text::read(text)
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, LogError> {
        let bytes = std::fs::read(path).map_err(|source| {
            let mend = match source.kind() {
                io::ErrorKind::NotFound => "give the path of a log under squall-failures/",
                _ => "check the path and its permissions",
            };
            LogError::Unreadable {
                path: path.to_owned(),
                source,
                mend,
            }
        })?;
        let flawed = |Flaw { line, what }| LogError::Malformed {
            path: path.to_owned(),
            line,
            what,
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            flawed(Flaw {
                line,
                what: "this is not text".to_owned(),
            })
        })?;
        Self::from_text(text).map_err(flawed)
    }

    /// Writes a file, and the directories above it. The file appears whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), LogError> {
        let failed = |source| LogError::Unwritable {
            path: path.to_owned(),
            source,
        };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let written = std::fs::write(&partial, self.to_text());
        written
            .and_then(|()| std::fs::rename(&partial, path))
            .map_err(|source| {
                // The error to report is the first one.
                let _ = std::fs::remove_file(&partial);
                failed(source)
            })
    }

    /// An error unless the log was taken from this test.
    pub fn check_origin(&self, path: &Path, package: &str, test: &str) -> Result<(), LogError> {
        let Header {
            package: from_package,
            test: from_test,
            ..
        } = &self.header;
        if (from_package.as_str(), from_test.as_str()) == (package, test) {
            return Ok(());
        }
        let line = if from_package == package {
            text::TEST_LINE
        } else {
            text::PACKAGE_LINE
        };
        Err(LogError::OtherTest {
            path: path.to_owned(),
            line,
            from: format!("{from_test} of package {from_package}"),
            wanted: format!("{test} of package {package}"),
        })
    }
}

/// What is wrong with the text of a log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Flaw {
    /// The line, the first being 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// A log that cannot be used, or cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read.
    #[error("cannot read the choice log {path}: {source}; {mend}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// What to do.
        mend: &'static str,
    },
    /// The file's text is not a whole choice log.
    #[error(
        "{path}:{line}: {what}; restore the choice log from version control, or delete it and run its seed again",
        path = path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, the first being 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The log was taken from another test.
    #[error(
        "{path}:{line}: this choice log is from {from}, it cannot replay {wanted}; run the test that it names",
        path = path.display()
    )]
    OtherTest {
        /// The file.
        path: PathBuf,
        /// The line that names the test.
        line: usize,
        /// Where the log comes from.
        from: String,
        /// What it was to replay.
        wanted: String,
    },
    /// The file cannot be written.
    #[error("cannot write the choice log {path}: {source}", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header for tests.
    pub(crate) fn header(seed: u64, strategy: explore::Name) -> Header {
        Header {
            package: "shop".to_owned(),
            target: "test buys".to_owned(),
            test: "orders::never_oversold".to_owned(),
            seed,
            strategy,
            profile: explore::Profile::default(),
            config: "cpus=4".to_owned(),
            digest: 0xfeed,
            signature: "panic at src/lib.rs:3:9".to_owned(),
        }
    }

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("squall-log-test-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_saved_log_loads_again() {
        let directory = scratch("saved");
        let path = directory.join("deeper/a.log");
        let mut log = Log::new(header(1, explore::Name::Sticky));
        log.push(Domain::Time, Decision::Below { n: 10, value: 3 });
        log.save(&path).unwrap();
        assert_eq!(Log::load(&path).unwrap(), log);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn errors_name_the_file_the_line_and_the_mend() {
        let path = scratch("missing");
        let error = Log::load(&path).unwrap_err().to_string();
        assert!(error.contains(&*path.display().to_string()), "{error}");
        assert!(
            error.contains("give the path of a log under squall-failures/"),
            "{error}"
        );

        let path = scratch("binary");
        std::fs::write(&path, b"squall choice log 1\n\xff\xfe").unwrap();
        let error = Log::load(&path).unwrap_err().to_string();
        assert!(
            error.contains(":2: this is not text; restore the choice log"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();

        let log = Log::new(header(1, explore::Name::Sticky));
        let error = log
            .check_origin(Path::new("x.log"), "shop", "other")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("x.log:4: this choice log is from orders::never_oversold"),
            "{error}"
        );
        assert!(
            log.check_origin(Path::new("x.log"), "shop", "orders::never_oversold")
                .is_ok()
        );
    }

    #[test]
    fn a_log_beyond_its_limit_counts_what_it_leaves_out() {
        let mut log = Log::new(header(1, explore::Name::Sticky));
        for _ in 0..MAX_DECISIONS + 5 {
            log.push(Domain::Time, Decision::Below { n: 2, value: 1 });
        }
        assert_eq!((log.len(), log.omitted), (MAX_DECISIONS, 5));
        assert_eq!(Log::from_text(&log.to_text()).unwrap(), log);
    }
}
