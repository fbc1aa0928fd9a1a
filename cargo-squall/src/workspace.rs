//! What cargo says of the workspace: where its target directory is, and which tokio it locked.

use crate::arguments::Arguments;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A workspace as far as the command needs it.
#[derive(Debug)]
pub struct Workspace {
    /// The target directory.
    pub target: PathBuf,
    /// Where the workspace's own `Cargo.toml` lies.
    pub root: PathBuf,
    /// What `[workspace.metadata]` holds.
    pub settings: serde_json::Value,
    /// The locked version of tokio 1, or why there is none to work with.
    pub tokio: Result<Tokio, NoTokio>,
}

/// A locked tokio from crates.io.
#[derive(Debug)]
pub struct Tokio {
    /// Its version.
    pub version: String,
    /// Where cargo keeps its source.
    pub source: PathBuf,
}

/// Why no tokio can be instrumented.
#[derive(Debug)]
pub enum NoTokio {
    /// The workspace does not depend on tokio 1.
    Absent,
    /// It comes from elsewhere than crates.io.
    Elsewhere {
        /// Its version.
        version: String,
        /// Where it comes from.
        from: String,
    },
    /// There are others beside it, and cargo's override of a path goes by the name alone: the copy would take their place, too.
    Several {
        /// Their versions.
        versions: Vec<String>,
    },
}

impl std::fmt::Display for NoTokio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoTokio::Absent => f.write_str("this workspace does not depend on tokio 1"),
            NoTokio::Several { versions } => {
                write!(
                    f,
                    "this workspace depends on several versions of tokio ({}), and a copy of one would take the place of all",
                    versions.join(", ")
                )
            }
            NoTokio::Elsewhere { version, from } => {
                write!(
                    f,
                    "tokio {version} comes from {from}, and only releases from crates.io can be instrumented"
                )
            }
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
    /// What `[workspace.metadata]` holds.
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    manifest_path: PathBuf,
}

/// The names under which cargo knows crates.io.
const CRATES_IO: [&str; 2] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
];

/// The cargo that started this program, or the first in the path.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

impl Workspace {
    /// Asks cargo. It fetches what is not there yet, as `cargo test` would.
    pub fn ask(arguments: &Arguments) -> Result<Self> {
        let mut command = Command::new(cargo());
        // All features: tokio may hang on one that is off by default and on in this run.
        command
            .args(["metadata", "--format-version=1", "--all-features"])
            .args(&arguments.metadata);
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", cargo().to_string_lossy()))?;
        if !output.status.success() {
            bail!(
                "cargo cannot read this workspace (`cargo metadata`: {})",
                output.status
            );
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .context("cannot understand what `cargo metadata` says")?;
        let target = match &arguments.target_dir {
            Some(given) => std::path::absolute(given).context("cannot use --target-dir")?,
            None => metadata.target_directory,
        };
        Ok(Workspace {
            target,
            root: metadata.workspace_root,
            settings: metadata.metadata,
            tokio: tokio(metadata.packages),
        })
    }
}

fn tokio(packages: Vec<Package>) -> Result<Tokio, NoTokio> {
    let mut tokios: Vec<Package> = packages
        .into_iter()
        .filter(|package| package.name == "tokio")
        .collect();
    let Some(at) = tokios.iter().position(|p| p.version.starts_with("1.")) else {
        return Err(NoTokio::Absent);
    };
    if tokios.len() > 1 {
        let versions = tokios.into_iter().map(|package| package.version).collect();
        return Err(NoTokio::Several { versions });
    }
    let package = tokios.swap_remove(at);
    match &package.source {
        Some(source) if CRATES_IO.contains(&source.as_str()) => Ok(Tokio {
            version: package.version,
            source: package
                .manifest_path
                .parent()
                .unwrap_or(Path::new("/"))
                .to_owned(),
        }),
        from => Err(NoTokio::Elsewhere {
            version: package.version,
            from: from
                .clone()
                .unwrap_or_else(|| package.manifest_path.display().to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{CRATES_IO, NoTokio, Package, tokio};

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            source: Some(CRATES_IO[0].to_owned()),
            manifest_path: "/registry/Cargo.toml".into(),
        }
    }

    #[test]
    fn a_tokio_that_is_alone_is_taken() {
        let packages = vec![package("tokio-util", "0.7.1"), package("tokio", "1.40.0")];
        assert_eq!(tokio(packages).unwrap().version, "1.40.0");
        let without = vec![package("tokio", "0.2.25")];
        assert!(matches!(tokio(without), Err(NoTokio::Absent)));
    }

    #[test]
    fn several_versions_of_tokio_are_left_alone() {
        let packages = vec![package("tokio", "0.3.7"), package("tokio", "1.40.0")];
        let told = tokio(packages).unwrap_err().to_string();
        assert!(told.contains("(0.3.7, 1.40.0)"), "{told}");
    }
}
