//! `squall::Builder` in a program's own `main`, without libtest: the program runs itself again with its own arguments.
//!
//! Started without an argument it is the test, and starts itself with one for each thing that it looks at.

#[path = "common/planted.rs"]
mod planted;

use std::process::{Command, ExitCode, Output};

use planted::lost_update;

fn program(what: &str) -> ExitCode {
    let builder = squall::Builder::new().seeds(50);
    let result = match what {
        "holds" => builder.run_blocking(|_| {}),
        "fails" => builder.run_blocking(|_| assert_eq!(lost_update(), 2, "an update was lost")),
        "unreachable" => {
            // The program that is started again takes another way.
            if std::env::vars().any(|(name, _)| name == "SQUALL_ZYGOTE") {
                println!("another way");
                return ExitCode::SUCCESS;
            }
            builder.run_blocking(|_| {})
        }
        _ => {
            let elsewhere = std::thread::spawn(move || builder.run_blocking(|_| {}));
            elsewhere.join().expect("a failure is no panic")
        }
    };
    match result {
        Ok(summary) => {
            println!("{} runs held", summary.runs);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print!("{failure}");
            ExitCode::from(1)
        }
    }
}

fn run(what: &str, seed: Option<&str>) -> (Output, String) {
    let mut command = Command::new(std::env::current_exe().expect("the program has a path"));
    command
        .args([what, "an argument with spaces"])
        .env("SQUALL_FAILURES", "off");
    command.env_remove("SQUALL_SEED");
    if let Some(seed) = seed {
        command.env("SQUALL_SEED", seed);
    }
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [what, _] if what.len() < 20 && !what.starts_with('-') => return program(what),
        // What cargo and nextest ask of a test program.
        [flag, ..] if flag == "--list" => {
            if !arguments.iter().any(|argument| argument == "--ignored") {
                println!("plain_main: test");
            }
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let (output, text) = run("holds", None);
    assert!(
        output.status.success() && text == "50 runs held\n",
        "{text}"
    );

    let (output, text) = run("fails", None);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("an update was lost") && text.contains("| thread"),
        "{text}"
    );
    let replay = text
        .lines()
        .find_map(|line| line.strip_prefix("replay: SQUALL_SEED="));
    let (seed, command) = replay
        .expect("there is a replay line")
        .split_once(' ')
        .expect("a command");
    assert!(
        command.ends_with("plain_main-") || command.ends_with(" fails 'an argument with spaces'"),
        "{command}"
    );
    let (output, again) = run("fails", Some(seed));
    assert_eq!(output.status.code(), Some(1), "{again}");
    // A single seed says nothing of how often it fails.
    let often = |line: &&str| !line.contains(" runs failed so: ");
    let lines = |text: &str| {
        text.lines()
            .filter(often)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&again), lines(&text));

    let (output, text) = run("unreachable", None);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("ended before it came to the test (exit status: 0)"),
        "{text}"
    );
    assert!(text.contains("It printed:\nanother way"), "{text}");

    let (output, text) = run("elsewhere", None);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("must run on the thread of a #[test], or in main"),
        "{text}"
    );
    println!("test plain_main ... ok");
    ExitCode::SUCCESS
}
