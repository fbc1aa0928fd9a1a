//! Makes the instrumented copy of the user's own tokio, under `target/squall/`. `launch` builds the tests against it.
//!
//! A copy is made once for each version of tokio and of this program; later runs find it finished, so cargo does not
//! compile it again. It appears under its name whole or not at all.

mod decisions;
mod rewrite;
mod tale;

use crate::workspace::Tokio;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

pub use rewrite::{Mismatch, gains};

/// The file in a copy that says what it was made by.
const STAMP: &str = ".squall";

/// The path of the instrumented copy, or what keeps this version from being instrumented.
pub fn copy_of(tokio: &Tokio, target: &Path) -> Result<Result<PathBuf, Mismatch>> {
    let home = target.join("squall");
    let copy = home.join(format!("tokio-{}", tokio.version));
    let stamp = rewrite::stamp();
    let ready = || fs::read_to_string(copy.join(STAMP)).is_ok_and(|found| found == stamp);
    if ready() {
        return Ok(Ok(copy));
    }
    let edited = match rewrite::edited(&tokio.source)? {
        Ok(edited) => edited,
        Err(mismatch) => return Ok(Err(mismatch)),
    };
    let partial = home.join(format!(
        "tokio-{}.{}.partial",
        tokio.version,
        std::process::id()
    ));
    let place = || format!("cannot make {}", copy.display());
    copy_tree(&tokio.source, &partial).with_context(place)?;
    if let Some(mismatch) = &edited.untold {
        eprintln!(
            "squall: stories of failing runs will not say where tasks wait with tokio {}: {mismatch}",
            tokio.version
        );
    }
    for (file, text) in edited.files {
        fs::write(partial.join(file), text).with_context(place)?;
    }
    fs::write(partial.join(STAMP), &stamp).with_context(place)?;
    // A copy that another process finished meanwhile may be in use already; one by another version of this program goes.
    if copy.exists() && !ready() {
        let old = partial.with_extension("old");
        if fs::rename(&copy, &old).is_ok() {
            fs::remove_dir_all(&old).with_context(place)?;
        }
    }
    if let Err(error) = fs::rename(&partial, &copy) {
        let _ = fs::remove_dir_all(&partial);
        if !ready() {
            return Err(error).with_context(place);
        }
    }
    Ok(Ok(copy))
}

/// Whether this version could be instrumented.
pub fn check(tokio: &Tokio) -> Result<Result<(), Mismatch>> {
    Ok(rewrite::edited(&tokio.source)?.map(drop))
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            // Written anew rather than copied with its permissions: a registry may be read-only.
            fs::write(to, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}
