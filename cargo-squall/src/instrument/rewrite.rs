//! Makes edits: what an edit is, and the files of a version of tokio after all of them. `decisions` and `tale` say which
//! edits there are; `instrument` puts the files into a copy.

use super::{decisions, tale};
use anyhow::{Context, Result};
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// One expression to rewrite.
#[derive(Debug, Hash)]
pub(super) struct Seam {
    /// What the expression decides.
    pub(super) what: &'static str,
    /// The files that may hold it, relative to the crate: exactly one of them exists in each version.
    pub(super) files: &'static [&'static str],
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// How often the expression occurs in the file; [`SOME`] where that differs from version to version.
    pub(super) times: usize,
    /// What versions that need no edit have in its place, once.
    pub(super) or: Option<&'static str>,
}

/// At least once.
pub(super) const SOME: usize = 0;

/// The module that asks, put into the copy as `src/squall.rs`.
const BRIDGE: &str = include_str!("bridge.rs.txt");
const BRIDGE_FILE: &str = "src/squall.rs";

/// An expression that is not where it is expected.
#[derive(Debug)]
pub struct Mismatch {
    what: &'static str,
    file: String,
    expression: &'static str,
    expected: usize,
    found: usize,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch {
            what,
            file,
            expression,
            expected,
            found,
        } = self;
        write!(
            f,
            "`{}`, which decides {what}, should be found {} times in {file}, and is found {found} times",
            expression.trim(),
            match *expected {
                SOME => "some".to_owned(),
                times => times.to_string(),
            }
        )
    }
}

/// What an instrumented tokio lets squall decide.
pub fn gains() -> Vec<&'static str> {
    let decisive = (decisions::SEAMS.iter()).filter(|seam| seam.files != decisions::ROOT);
    decisive.map(|seam| seam.what).collect()
}

/// Names the edits: a copy made by other edits is made again.
pub fn stamp() -> String {
    let mut hasher = DefaultHasher::new();
    (BRIDGE, &decisions::SEAMS, &tale::SEAMS).hash(&mut hasher);
    format!(
        "made by cargo-squall {} with edits {:016x}\n",
        env!("CARGO_PKG_VERSION"),
        hasher.finish()
    )
}

/// Files of a copy with their new texts.
type Texts = Vec<(PathBuf, String)>;

/// What differs in the copy.
#[derive(Debug)]
pub struct Edited {
    /// The files.
    pub files: Texts,
    /// What keeps stories from saying what tasks do, if something does.
    pub untold: Option<Mismatch>,
}

/// The edits of a version of tokio, or the one that could not be made.
pub fn edited(source: &Path) -> Result<Result<Edited, Mismatch>> {
    let mut files = Texts::new();
    if let Some(mismatch) = edit(&mut files, source, &decisions::SEAMS)? {
        return Ok(Err(mismatch));
    }
    let mut told = files.clone();
    let untold = edit(&mut told, source, &tale::SEAMS)?;
    if untold.is_none() {
        files = told;
    }
    files.push((PathBuf::from(BRIDGE_FILE), BRIDGE.to_owned()));
    Ok(Ok(Edited { files, untold }))
}

/// Makes these edits; returns the first that could not be made.
fn edit(texts: &mut Texts, source: &Path, seams: &[Seam]) -> Result<Option<Mismatch>> {
    for seam in seams {
        let mismatch = |file: &str, found| Mismatch {
            what: seam.what,
            file: file.to_owned(),
            expression: seam.from,
            expected: seam.times,
            found,
        };
        let Some(file) = seam.files.iter().find(|file| source.join(file).is_file()) else {
            return Ok(Some(mismatch(&seam.files.join(" or "), 0)));
        };
        let at = match texts.iter().position(|(path, _)| path == Path::new(file)) {
            Some(at) => at,
            None => {
                let path = source.join(file);
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                texts.push((PathBuf::from(file), text));
                texts.len() - 1
            }
        };
        let text = &mut texts[at].1;
        let found = text.matches(seam.from).count();
        let other = |or: &str| found == 0 && text.matches(or).count() == 1;
        if seam.or.is_some_and(other) {
            continue;
        }
        let expected = match seam.times {
            SOME => found > 0,
            times => found == times,
        };
        if !expected {
            return Ok(Some(mismatch(file, found)));
        }
        *text = text.replace(seam.from, seam.to);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources of tokio 1.38 and later that cargo has in its registry here.
    fn registry() -> Vec<PathBuf> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        let Ok(registries) = fs::read_dir(home.expect("cargo has a home").join("registry/src"))
        else {
            return Vec::new();
        };
        let crates =
            registries.flat_map(|registry| fs::read_dir(registry.unwrap().path()).unwrap());
        let supported = |path: &PathBuf| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            let minor = name
                .strip_prefix("tokio-1.")
                .and_then(|rest| rest.split('.').next());
            minor
                .and_then(|minor| minor.parse::<u32>().ok())
                .is_some_and(|minor| minor >= 38)
        };
        crates
            .map(|entry| entry.unwrap().path())
            .filter(supported)
            .collect()
    }

    #[test]
    fn every_version_at_hand_is_known() {
        let versions = registry();
        assert!(
            !versions.is_empty(),
            "this workspace itself depends on tokio"
        );
        for source in versions {
            let edited = edited(&source).unwrap();
            let Edited { files, untold } =
                edited.unwrap_or_else(|mismatch| panic!("{}: {mismatch}", source.display()));
            if let Some(mismatch) = untold {
                panic!("{}: {mismatch}", source.display());
            }
            assert_eq!(files.len(), 21, "twenty files and the bridge");
        }
    }

    #[test]
    fn an_expression_that_is_missing_or_doubled_is_told() {
        let source =
            std::env::temp_dir().join(format!("cargo-squall-rewrite-{}", std::process::id()));
        let path = source.join(decisions::CURRENT_THREAD[0]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let told = |text: &str| {
            fs::write(&path, text).unwrap();
            edited(&source).unwrap().unwrap_err().to_string()
        };
        assert_eq!(
            told("self.tasks.pop_front() self.tasks.pop_front()"),
            "`self.tasks.pop_front()`, which decides the order of tasks, should be found 1 times in \
             src/runtime/scheduler/current_thread/mod.rs, and is found 2 times"
        );
        assert!(told("").ends_with("is found 0 times"));
        fs::remove_dir_all(source).unwrap();
    }
}
