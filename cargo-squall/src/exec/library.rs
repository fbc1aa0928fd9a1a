//! The library that is preloaded. An installed command carries it: it was built with the command (`build.rs`), and nothing is
//! needed later but a place to put it. A command that was built for working on squall itself builds it from its source when it
//! is first asked, so that the command's own build does not take that long each time.

use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

/// The name of the file.
const NAME: &str = "libsquall_preload.so";

#[cfg(squall_embedded)]
const EMBEDDED: &[u8] = include_bytes!(env!("SQUALL_PRELOAD"));

/// The library's path.
#[cfg(squall_embedded)]
pub fn path() -> Result<PathBuf> {
    let home = cache();
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    // Its own name for each content: another version's runs may be under way.
    let path = home.join(format!("{:016x}-{NAME}", hash(EMBEDDED)));
    if fs::metadata(&path).is_ok_and(|found| found.len() == EMBEDDED.len() as u64) {
        return Ok(path);
    }
    let place = || format!("cannot put the library at {}", path.display());
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    fs::write(&partial, EMBEDDED).with_context(place)?;
    fs::rename(&partial, &path).with_context(place)?;
    Ok(path)
}

/// Where what can be made again is kept.
#[cfg(squall_embedded)]
fn cache() -> PathBuf {
    let place = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || place("HOME").map(|home| home.join(".cache"));
    place("XDG_CACHE_HOME")
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir)
        .join("squall")
}

/// FNV-1a, for names of files.
#[cfg(squall_embedded)]
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The library's path.
#[cfg(not(squall_embedded))]
pub fn path() -> Result<PathBuf> {
    use anyhow::bail;
    use std::path::Path;

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("preload");
    // The command itself lies in the profile's directory of the target directory.
    let program = fs::canonicalize(std::env::current_exe()?)?;
    let target = program
        .ancestors()
        .nth(2)
        .context("this command does not lie in a target directory")?;
    let ended = std::process::Command::new(crate::workspace::cargo())
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        // What surrounds this command is about another package.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .current_dir(&source)
        .status()
        .context("cannot start cargo to build the library")?;
    if !ended.success() {
        bail!("the library in {} does not build", source.display());
    }
    Ok(target.join("release").join(NAME))
}
