//! `cargo squall`: runs tests against an instrumented tokio, and looks after what a run needs.
//!
//! Cargo starts this program as `cargo-squall squall ARGUMENTS`. It edits nothing of the user's: what it makes lies under
//! `target/squall/`.

mod arguments;
mod doctor;
mod events;
mod exec;
mod filter;
mod init;
mod instrument;
mod launch;
mod list;
mod live;
mod model;
mod nightly;
mod options;
mod points;
mod progress;
mod saved;
mod scenario;
mod schema;
mod status;
mod style;
mod suite;
mod sweep;
mod workspace;

use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Deterministic concurrency testing for async Rust.
///
/// Exit status: 0 held, 1 a property failed, 2 wrong usage or input, 3 squall itself failed.
#[derive(Parser, Debug)]
#[command(
    name = "cargo squall",
    bin_name = "cargo squall",
    version,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs `cargo test` with every order of tasks under squall's control; takes all of `cargo test`'s arguments.
    #[command(disable_help_flag = true)]
    Test {
        /// What `cargo test` takes.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "CARGO TEST ARGUMENTS"
        )]
        arguments: Vec<OsString>,
    },
    /// Runs the tests that are bound to a scenario file, and shows how far they are.
    Run(scenario::Arguments),
    /// Runs the test of a scenario file with one value of its parameters after another, and compares what its traffic came to.
    Sweep(sweep::Arguments),
    /// Runs models, functions with `#[squall::model]`, under the kernel's exhaustive search and under loom, and says what both came to.
    Model(model::Arguments),
    /// Prints the JSON Schema of scenario files, for editors.
    Schema,
    /// Prints the completions of this command for a shell: bash, zsh, fish, elvish or powershell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Runs `cargo nextest` likewise: `cargo squall nextest run [ARGUMENTS]`.
    #[command(disable_help_flag = true)]
    Nextest {
        /// What `cargo nextest` takes.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "CARGO NEXTEST ARGUMENTS"
        )]
        arguments: Vec<OsString>,
    },
    /// Runs an existing binary under many seeds: a test binary's tests one by one, or a whole program. It needs no dependency on
    /// squall and is not rebuilt.
    Exec(exec::Arguments),
    /// Runs a saved log once more, in the test that it comes from, or a seed.
    Replay(saved::Replay),
    /// Looks for a simpler run that fails as the one in a saved log does, and puts it in the log's place.
    Shrink(saved::Look),
    /// Says of a saved log from which decision on its failure was inevitable, and how many clean runs will show that it is
    /// mended.
    Explain(saved::Look),
    /// Writes the reports of a saved log anew, by running it once more, and says where they are.
    Report(saved::Report),
    /// Writes a first test into a crate, and what its `Cargo.toml` needs for it.
    Init(init::Arguments),
    /// Lists every test of squall's in the workspace, and the scenario file that it is bound to.
    List(list::Arguments),
    /// Searches for long: shares a budget among all tests, keeps what it finds in a store, and goes on where it ended.
    Nightly(nightly::Arguments),
    /// Joins what shards or nights have written to stores, and says what it all comes to.
    Merge(nightly::merge::Arguments),
    /// Says whether this machine and this workspace offer what squall uses.
    Doctor {
        /// The workspace's `Cargo.toml`.
        #[arg(long, value_name = "PATH")]
        manifest_path: Option<OsString>,
    },
}

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if points::is_wrapper(words.first().map(OsString::as_os_str)) {
        return points::wrapper::run(words);
    }
    // Cargo passes the subcommand's own name; started by hand, the program goes without.
    if words.get(1).is_some_and(|word| word == "squall") {
        words.remove(1);
    }
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is wrong usage.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                status::USAGE
            } else {
                status::HELD
            });
        }
    };
    let result = match cli.command {
        Command::Test { arguments } => launch::test(&arguments),
        Command::Nextest { arguments } => launch::nextest(&arguments),
        Command::Exec(arguments) => exec::run(&arguments),
        Command::Replay(asked) => saved::replay(&asked),
        Command::Shrink(asked) => saved::shrink(&asked),
        Command::Explain(asked) => saved::explain(&asked),
        Command::List(asked) => list::run(&asked),
        Command::Nightly(asked) => nightly::run(&asked),
        Command::Merge(asked) => nightly::merge::run(&asked),
        Command::Report(asked) => saved::report(&asked),
        Command::Init(asked) => init::run(&asked),
        Command::Model(asked) => model::run(&asked),
        Command::Run(asked) => scenario::run(&asked),
        Command::Schema => Ok(schema::run()),
        Command::Sweep(asked) => sweep::run(&asked),
        Command::Completions { shell } => {
            let (mut command, mut out) = (Cli::command(), std::io::stdout());
            clap_complete::generate(shell, &mut command, "cargo-squall", &mut out);
            Ok(status::HELD)
        }
        Command::Doctor { manifest_path } => doctor::run(manifest_path),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("squall: {error:#}");
            ExitCode::from(status::USAGE)
        }
    }
}
