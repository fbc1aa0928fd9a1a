//! What the options of `cargo test` are and do, and those of libtest's behind the `--`: the one table for `arguments`, `filter`, `model` and `exec`,
//! which read command lines, and the field for commands that hand on what they are given.

use clap::Args;
use std::ffi::OsString;

/// What an option is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// Which tests, packages or targets are taken; others are left out.
    Some,
    /// Likewise, and none is left out.
    All,
    /// Which workspace and which versions: `cargo metadata` takes it as well.
    Workspace,
    /// What is built of them, and where.
    Build,
    /// Nothing is to be run.
    Nothing,
    /// Anything else, such as how it is told.
    Else,
}

/// What is known of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    pub about: About,
    /// Its value is the next word, where none is attached with `=`.
    pub valued: bool,
}

type Table = [(&'static [&'static str], About, bool)];

/// Those of `cargo test`, and our own beside them.
const CARGO: &Table = &[
    (
        &[
            "-p",
            "--package",
            "--exclude",
            "--bin",
            "--test",
            "--example",
            "--bench",
        ],
        About::Some,
        true,
    ),
    (
        &[
            "--lib",
            "--bins",
            "--tests",
            "--examples",
            "--benches",
            "--doc",
        ],
        About::Some,
        false,
    ),
    (
        &["--workspace", "--all", "--all-targets"],
        About::All,
        false,
    ),
    (
        &["--manifest-path", "--config", "-Z"],
        About::Workspace,
        true,
    ),
    (
        &["--locked", "--offline", "--frozen"],
        About::Workspace,
        false,
    ),
    (
        &["-F", "--features", "--profile", "--target", "--target-dir"],
        About::Build,
        true,
    ),
    (
        &[
            "-r",
            "--release",
            "--all-features",
            "--no-default-features",
            "--ignore-rust-version",
        ],
        About::Build,
        false,
    ),
    (&["--no-run", "-h", "--help"], About::Nothing, false),
    (
        &[
            "-j",
            "--jobs",
            "--message-format",
            "--color",
            "--lockfile-path",
            "--points",
        ],
        About::Else,
        true,
    ),
];

/// Those of libtest's.
const LIBTEST: &Table = &[
    (&["--skip"], About::Some, true),
    (&["--ignored"], About::Some, false),
    (&["--list", "-h", "--help"], About::Nothing, false),
    (
        &[
            "--test-threads",
            "--logfile",
            "--color",
            "--format",
            "--shuffle-seed",
            "-Z",
        ],
        About::Else,
        true,
    ),
];

/// What an option of `cargo test` is, by its name alone.
pub fn cargo(name: &str) -> Known {
    find(CARGO, name)
}

/// What an option of libtest's is, by its name alone.
pub fn libtest(name: &str) -> Known {
    find(LIBTEST, name)
}

fn find(table: &Table, name: &str) -> Known {
    let row = table.iter().find(|(names, ..)| names.contains(&name));
    row.map_or(UNKNOWN, |&(_, about, valued)| Known { about, valued })
}

const UNKNOWN: Known = Known {
    about: About::Else,
    valued: false,
};

// Not a documentation comment: clap would take it for that of the command.
// What a command hands on to `cargo test`.
#[derive(Args, Debug)]
pub struct Besides {
    /// What `cargo test` takes besides, such as `--release`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CARGO TEST ARGUMENTS"
    )]
    pub arguments: Vec<OsString>,
}
