//! Which test this is: its names, for messages, logs and replay lines, and how to start its program again.

use super::command::Name;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a test stands in its source. The attribute macro fills it in with what the compiler knows.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// `module_path!()`.
    pub module: &'static str,
    /// The function's name.
    pub function: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// `line!()` of the attribute.
    pub line: u32,
    /// The scenario file that the test is bound to, from the package's directory.
    pub scenario: Option<&'static str>,
    /// Which engines run it, if it is a model.
    pub model: Option<Engines>,
    /// `CARGO_PKG_NAME`.
    pub package: &'static str,
    /// `CARGO_MANIFEST_DIR`.
    pub manifest_dir: &'static str,
    /// `CARGO_CRATE_NAME`.
    pub crate_name: &'static str,
    /// `CARGO_BIN_NAME`.
    pub bin_name: Option<&'static str>,
    /// Whether `CARGO_TARGET_TMPDIR` is set, as it is for integration tests.
    pub integration: bool,
    /// Whether the test is `#[ignore]`d.
    pub ignored: bool,
    /// Whether it has `#[should_panic]`: then it is no news that it fails.
    pub should_panic: bool,
    /// Whether debug assertions are on.
    pub debug: bool,
}

/// Which engines run a model.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Engines {
    /// The kernel's exhaustive search.
    pub kernel: bool,
    /// Loom.
    pub loom: bool,
}

/// How the program comes to the test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// libtest calls it.
    Libtest,
    /// `main` calls it.
    Main,
    /// It is the program, which was started as it is to be started again.
    Program,
}

/// A test and the program that it is in.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The test's path within its binary.
    pub(crate) test: String,
    pub(crate) package: String,
    /// `lib`, `test NAME` or `bin NAME`; empty if nobody knows.
    pub(crate) target: String,
    manifest_dir: PathBuf,
    ignored: bool,
    /// The test is there to fail: nothing is kept of it, and nothing made simpler.
    pub(super) should_panic: bool,
    debug: bool,
    entry: Entry,
    /// The scenario file that the test is bound to, as a number.
    pub(super) fingerprint: Option<u64>,
    /// For a program: the command that runs it again.
    again: String,
}

impl Origin {
    /// A whole program.
    pub(crate) fn of_program(
        test: String,
        package: String,
        target: String,
        manifest_dir: Option<PathBuf>,
        again: String,
    ) -> Self {
        Origin {
            test,
            package,
            target,
            manifest_dir: manifest_dir.unwrap_or_default(),
            ignored: false,
            should_panic: false,
            debug: false,
            entry: Entry::Program,
            fingerprint: None,
            again,
        }
    }

    /// The test that the attribute stands on.
    pub(crate) fn of(site: &Site) -> Self {
        let path = site.module.split_once("::").map(|(_, inner)| inner);
        let test = match path {
            Some(path) => format!("{path}::{}", site.function),
            None => site.function.to_owned(),
        };
        let target = if site.integration {
            format!("test {}", integration_name(site))
        } else if let Some(name) = site.bin_name {
            format!("bin {name}")
        } else {
            "lib".to_owned()
        };
        Origin {
            test,
            package: site.package.to_owned(),
            target,
            manifest_dir: PathBuf::from(site.manifest_dir),
            ignored: site.ignored,
            should_panic: site.should_panic,
            debug: site.debug,
            entry: Entry::Libtest,
            fingerprint: None,
            again: String::new(),
        }
    }

    /// The test or program that runs on this thread: libtest names a test's thread after it.
    pub(crate) fn of_thread() -> Option<Self> {
        let thread = std::thread::current();
        let name = thread.name()?;
        let exe = program();
        let stem = exe
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let (entry, test, target) = match name {
            "main" => (Entry::Main, stem.clone(), format!("bin {stem}")),
            name => (Entry::Libtest, name.to_owned(), String::new()),
        };
        // cargo and nextest set these for the programs that they run.
        let var = |name: &str| std::env::var(name).ok();
        let manifest_dir = var("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Some(Origin {
            test,
            package: var("CARGO_PKG_NAME").unwrap_or(stem),
            target,
            manifest_dir: manifest_dir.unwrap_or_else(here),
            ignored: false,
            should_panic: false,
            debug: cfg!(debug_assertions),
            entry,
            fingerprint: None,
            again: String::new(),
        })
    }

    /// Where it is to be found.
    pub(crate) fn name(&self) -> Name<'_> {
        Name {
            package: &self.package,
            target: &self.target,
            name: &self.test,
        }
    }

    /// The directory in which failing logs are kept.
    pub(crate) fn failures(&self) -> PathBuf {
        self.manifest_dir.join("squall-failures")
    }

    /// The name that this test's saved logs begin with.
    pub(crate) fn log_prefix(&self) -> String {
        let name = format!(
            "{}-{}",
            self.target.rsplit(' ').next().unwrap_or(""),
            self.test
        );
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '.'
            }
        };
        let name: String = name.replace("::", ".").chars().map(plain).collect();
        name.trim_start_matches('-').to_owned()
    }

    /// The arguments that bring the program to this test, and to nothing else.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        match self.entry {
            Entry::Main | Entry::Program => std::env::args_os().skip(1).collect(),
            Entry::Libtest => [
                &self.test,
                "--exact",
                "--nocapture",
                "--test-threads=1",
                "--include-ignored",
            ]
            .iter()
            .map(OsString::from)
            .collect(),
        }
    }

    /// The command that runs this test alone, after these variables.
    pub(crate) fn command(&self, variables: &str) -> String {
        if self.entry == Entry::Program {
            return format!("{variables} {}", self.again);
        }
        if self.entry == Entry::Main {
            let words = std::env::args()
                .map(|word| quoted(&word))
                .collect::<Vec<_>>();
            return format!("{variables} {}", words.join(" "));
        }
        // The order of tasks follows from the seed only where tokio asks squall.
        let verb = super::command::subcommand().unwrap_or_else(|| "test".to_owned());
        let mut command = format!("{variables} cargo {verb}");
        if !self.debug {
            command.push_str(" --release");
        }
        if in_workspace(&self.manifest_dir) {
            command.push_str(&format!(" -p {}", self.package));
        }
        if !self.target.is_empty() {
            command.push_str(&format!(" --{}", self.target));
        }
        command.push_str(&format!(" {} -- --exact", self.test));
        if self.ignored {
            command.push_str(" --include-ignored");
        }
        command
    }

    /// A path as a person in the package's directory would write it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.manifest_dir).unwrap_or(path)
    }
}

/// The program's file, also if it has been replaced since it was started.
pub(crate) fn program() -> PathBuf {
    // Through this link the very same file is found, even if a build has put another in its place.
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"))
}

/// Where reports go unless somebody says otherwise: `squall/reports` in cargo's target directory, if the program lies in one.
pub(crate) fn reports() -> Option<PathBuf> {
    let program = program();
    let mut above = program.ancestors().skip(1);
    // Both are cargo's; the first is missing where it was not cargo that made the directory.
    let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
    let marked = |directory: &&Path| marks.iter().any(|mark| directory.join(mark).is_file());
    let target = above.find(marked)?;
    Some(target.join("squall").join("reports"))
}

/// The target's own name, which may hold dashes where the crate's name cannot.
fn integration_name(site: &Site) -> String {
    let path = Path::new(site.file);
    let mut candidates = vec![path.file_stem()];
    candidates.extend(path.ancestors().skip(1).map(Path::file_name));
    candidates
        .into_iter()
        .flatten()
        .filter_map(|name| name.to_str())
        .find(|name| name.replace('-', "_") == site.crate_name)
        .unwrap_or(site.crate_name)
        .to_owned()
}

/// Whether cargo would have to be told the package: its manifest, or one above it, speaks of a workspace.
fn in_workspace(manifest_dir: &Path) -> bool {
    manifest_dir.ancestors().any(|directory| {
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap_or_default();
        manifest
            .lines()
            .any(|line| line.trim_start().starts_with("[workspace"))
    })
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Site = Site {
        module: "my_shop::orders",
        function: "never_oversold",
        file: "tests/my-shop.rs",
        line: 1,
        scenario: None,
        model: None,
        package: "shop",
        manifest_dir: "/nowhere/shop",
        crate_name: "my_shop",
        bin_name: None,
        integration: true,
        ignored: false,
        should_panic: false,
        debug: true,
    };

    #[test]
    fn a_test_is_named_as_cargo_names_it() {
        let origin = Origin::of(&SITE);
        assert_eq!(origin.test, "orders::never_oversold");
        assert_eq!(origin.target, "test my-shop");
        assert_eq!(origin.log_prefix(), "my-shop-orders.never_oversold");
        assert_eq!(
            origin.command("SQUALL_SEED=0x2a"),
            "SQUALL_SEED=0x2a cargo test --test my-shop orders::never_oversold -- --exact"
        );
        let unit = Origin::of(&Site {
            module: "shop",
            integration: false,
            ignored: true,
            debug: false,
            ..SITE
        });
        assert_eq!(
            unit.command("SQUALL_SEED=0x2a"),
            "SQUALL_SEED=0x2a cargo test --release --lib never_oversold -- --exact --include-ignored"
        );
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("a/b=c"), "a/b=c");
        assert_eq!(quoted("it's here"), "'it'\\''s here'");
    }
}
