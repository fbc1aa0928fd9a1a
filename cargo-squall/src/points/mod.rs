//! `--points`: where a run may switch between tasks and threads. `launch` asks here what a choice means for cargo; `doctor`,
//! whether this compiler can do it.
//!
//! `memory` has the workspace's own crates compiled with two of LLVM's instrumentation passes. Cargo calls the compiler for
//! these crates, and for no others, through a wrapper: this very program under another name, see [`wrapper`].

pub mod wrapper;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a run may switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Points {
    /// Where a poll of a task ends by itself.
    Awaits,
    /// Also at every await on a tokio resource, which may end the poll early.
    #[default]
    Polls,
    /// Also before every access to memory that threads share, in the workspace's own crates.
    Memory,
}

/// The option.
const OPTION: &str = "--points";

impl Points {
    /// Takes the option out of the words that are meant for cargo; `unsaid` holds where it is not among them.
    pub fn take(words: &[OsString], unsaid: Points) -> Result<(Points, Vec<OsString>)> {
        let mut points = None;
        let mut rest = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if text == "--" {
                rest.push(word.clone());
                rest.extend(words.cloned());
                break;
            }
            let value = match text.strip_prefix(OPTION) {
                Some("") => words
                    .next()
                    .map(|value| value.to_string_lossy().into_owned()),
                Some(attached) if attached.starts_with('=') => Some(attached[1..].to_owned()),
                _ => {
                    rest.push(word.clone());
                    continue;
                }
            };
            let chosen = match value.as_deref() {
                Some("awaits") => Points::Awaits,
                Some("polls") => Points::Polls,
                Some("memory") => Points::Memory,
                Some(other) => bail!("{OPTION} takes awaits, polls or memory, not `{other}`"),
                None => bail!("{OPTION} needs a value: awaits, polls or memory"),
            };
            if points.replace(chosen).is_some() {
                bail!("{OPTION} is given more than once");
            }
        }
        Ok((points.unwrap_or(unsaid), rest))
    }

    /// The option's value.
    pub fn name(self) -> &'static str {
        match self {
            Points::Awaits => "awaits",
            Points::Polls => "polls",
            Points::Memory => "memory",
        }
    }

    /// What follows the subcommand in a replay line.
    pub fn suffix(self) -> &'static str {
        match self {
            Points::Awaits => " --points awaits",
            Points::Polls => "",
            Points::Memory => " --points memory",
        }
    }
}

/// What cargo needs for instrumented builds.
#[derive(Debug)]
pub struct Instrumented {
    /// The wrapper of the compiler.
    wrapper: PathBuf,
    /// What programs without squall in them are linked with.
    fallback: PathBuf,
    /// A wrapper that the user has set, which goes on being called.
    inner: Option<OsString>,
}

/// The wrapper that cargo is told of, and by which the user may have told cargo of one.
const WRAPPER: &str = "RUSTC_WORKSPACE_WRAPPER";
/// Flags for documentation tests.
const RUSTDOC_FLAGS: [&str; 2] = ["CARGO_ENCODED_RUSTDOCFLAGS", "RUSTDOCFLAGS"];

/// The library for programs without squall in them.
const FALLBACK: &str = include_str!("fallback.rs.txt");
/// To a linker it is an archive like any other, from which it takes what is missing in the end.
const FALLBACK_FILE: &str = "libsquall_fallback.rlib";

impl Instrumented {
    /// Makes what is needed under the target directory, once for each compiler and version of this program.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        let inner = std::env::var_os(WRAPPER).filter(|inner| !inner.is_empty());
        let compiler = compiler_version()?;
        let mut hasher = DefaultHasher::new();
        (
            wrapper::FLAGS,
            wrapper::OPTIMIZED,
            FALLBACK,
            env!("CARGO_PKG_VERSION"),
            &compiler,
            &inner,
        )
            .hash(&mut hasher);
        // Cargo tells builds apart by the path of the wrapper, so the path says what the wrapper does.
        let home = workspace.target.join("squall");
        let place = home.join(format!("points-{:016x}", hasher.finish()));
        if !place.join(FALLBACK_FILE).exists() {
            make(&home, &place, &compiler)
                .with_context(|| format!("cannot make {}", place.display()))?;
        }
        let wrapper = place.join(wrapper::NAME);
        link_to_this_program(&wrapper)
            .with_context(|| format!("cannot make {}", wrapper.display()))?;
        Ok(Instrumented {
            wrapper,
            fallback: place.join(FALLBACK_FILE),
            inner,
        })
    }

    /// Arguments that go to cargo before the user's.
    pub fn apply(&self, command: &mut Command) -> Result<()> {
        command.env(WRAPPER, &self.wrapper);
        match &self.inner {
            Some(inner) => command.env(wrapper::INNER, inner),
            None => command.env_remove(wrapper::INNER),
        };
        // Documentation tests link the instrumented crates, too, and rustdoc is not called through the wrapper.
        let fallback = self
            .fallback
            .to_str()
            .context("the target directory's path is not UTF-8")?;
        let flag = format!("-Clink-arg={fallback}");
        for (name, between) in RUSTDOC_FLAGS.into_iter().zip(["\x1f", " "]) {
            if let Some(given) = std::env::var_os(name) {
                let mut flags = given;
                flags.push(between);
                flags.push(&flag);
                command.env(name, flags);
                return Ok(());
            }
        }
        // A JSON list is a TOML list.
        let setting = format!("build.rustdocflags={}", serde_json::to_string(&[flag])?);
        command.arg("--config").arg(setting);
        Ok(())
    }
}

/// The compiler that cargo will use, unless its configuration says otherwise.
fn compiler() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn compiler_version() -> Result<String> {
    let output = Command::new(compiler())
        .arg("-vV")
        .stderr(Stdio::inherit())
        .output();
    let output =
        output.with_context(|| format!("cannot start {}", compiler().to_string_lossy()))?;
    if !output.status.success() {
        bail!("`{} -vV` failed", compiler().to_string_lossy());
    }
    String::from_utf8(output.stdout).context("`rustc -vV` does not print text")
}

/// Makes the directory; it appears under its name whole or not at all.
fn make(home: &Path, place: &Path, compiler: &str) -> Result<()> {
    let partial = home.join(format!("points.{}.partial", std::process::id()));
    fs::create_dir_all(&partial)?;
    if let Err(no) = try_passes(&partial) {
        let _ = fs::remove_dir_all(&partial);
        let first = compiler.lines().next().unwrap_or("this rustc");
        bail!("{first} cannot make memory points: {no}; run without `--points memory`");
    }
    let source = partial.join("fallback.rs");
    fs::write(&source, FALLBACK)?;
    let built = Command::new(self::compiler())
        .args([
            "--edition=2021",
            "--crate-type=rlib",
            "--crate-name=squall_fallback",
            "-Cpanic=abort",
            "-Copt-level=3",
        ])
        .args(["-Ccodegen-units=1", "-o"])
        .arg(partial.join(FALLBACK_FILE))
        .arg(&source)
        .output()?;
    if !built.status.success() {
        bail!(
            "the library for programs without squall does not compile: {}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    if fs::rename(&partial, place).is_err() {
        // Another process was quicker, and its directory is as good.
        let _ = fs::remove_dir_all(&partial);
        if !place.join(FALLBACK_FILE).exists() {
            bail!("the directory cannot be put there");
        }
    }
    Ok(())
}

fn link_to_this_program(link: &Path) -> Result<()> {
    let program = std::env::current_exe()?;
    if fs::read_link(link).is_ok_and(|to| to == program) {
        return Ok(());
    }
    let partial = link.with_extension(std::process::id().to_string());
    std::os::unix::fs::symlink(&program, &partial)?;
    fs::rename(&partial, link)?;
    Ok(())
}

/// A program whose accesses the passes must see.
const PROBE: &str = "#![crate_type = \"lib\"]
use std::sync::atomic::{AtomicU64, Ordering};
#[no_mangle] pub fn probe(a: &AtomicU64, b: &mut u64) -> u64 { *b += 1; a.fetch_add(*b, Ordering::Relaxed) }
";
/// What must be in the object file then.
const CALLS: [&str; 4] = [
    "__sanitizer_cov_load8",
    "__sanitizer_cov_store8",
    "__sanitizer_cov_trace_pc_guard",
    "__tsan_atomic64_fetch_add",
];

/// Tries the passes in a directory of its own; the error says what is wrong, in words.
fn try_passes(directory: &Path) -> Result<()> {
    let (source, object) = (directory.join("probe.rs"), directory.join("probe.o"));
    fs::write(&source, PROBE)?;
    let mut command = Command::new(compiler());
    command.args([
        "--edition=2021",
        "--emit=obj",
        "-Copt-level=1",
        "-Ccodegen-units=1",
        "-o",
    ]);
    let output = command
        .arg(&object)
        .args(wrapper::FLAGS)
        .arg(&source)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said
            .lines()
            .find(|line| !line.is_empty())
            .unwrap_or("no reason given")
            .to_owned();
        bail!("its LLVM does not take the passes ({first})");
    }
    let bytes = fs::read(&object)?;
    for call in CALLS {
        if !bytes
            .windows(call.len())
            .any(|window| window == call.as_bytes())
        {
            bail!("its LLVM takes the passes, but the code does not call {call}");
        }
    }
    Ok(())
}

/// For the doctor: the compiler's name, and whether it can make memory points.
pub fn check() -> (String, Result<()>) {
    let name = match compiler_version() {
        Ok(version) => {
            let llvm = version
                .lines()
                .find_map(|line| line.strip_prefix("LLVM version: "));
            let first = version.lines().next().unwrap_or("rustc").to_owned();
            llvm.map_or(first.clone(), |llvm| format!("{first}, LLVM {llvm}"))
        }
        Err(error) => return ("rustc".to_owned(), Err(error)),
    };
    let directory =
        std::env::temp_dir().join(format!("cargo-squall-points-{}", std::process::id()));
    let tried = fs::create_dir_all(&directory)
        .context("cannot use the directory for temporary files")
        .and_then(|()| try_passes(&directory));
    let _ = fs::remove_dir_all(&directory);
    (name, tried)
}

/// Whether this process was started as the wrapper.
pub fn is_wrapper(name: Option<&OsStr>) -> bool {
    name.is_some_and(|name| Path::new(name).file_name() == Some(OsStr::new(wrapper::NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(words: &[&str]) -> Result<(Points, Vec<OsString>)> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        Points::take(&words, Points::Polls)
    }

    #[test]
    fn the_option_is_taken_out() {
        let (points, rest) =
            take(&["--release", "--points", "memory", "name", "--", "--points"]).unwrap();
        assert_eq!(points, Points::Memory);
        assert_eq!(rest, ["--release", "name", "--", "--points"]);
        assert_eq!(take(&["--points=awaits"]).unwrap().0, Points::Awaits);
        assert_eq!(take(&["x"]).unwrap(), (Points::Polls, vec!["x".into()]));
        let unsaid = Points::take(&["x".into()], Points::Awaits).unwrap().0;
        assert_eq!(unsaid, Points::Awaits);
    }

    #[test]
    fn nonsense_is_refused() {
        for (words, says) in [
            (&["--points"][..], "needs a value"),
            (&["--points", "atoms"], "not `atoms`"),
            (&["--points=memory", "--points=polls"], "more than once"),
        ] {
            let error = take(words).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
