//! `cargo squall test` on a terminal: bars below, what is printed above, and in colours.

use super::drive::squall_command;
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::Read;
use std::process::Stdio;

/// Runs `cargo squall` with arguments on a terminal of 30 lines of 120 columns; what it came to, and what the terminal was sent.
fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let size = Winsize {
        ws_row: 30,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pair = openpty(&size, None).unwrap();
    let end = || Stdio::from(pair.slave.try_clone().unwrap());
    let mut command = squall_command("orders");
    command
        .args(arguments)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    let mut child = (command.stdin(end()).stdout(end()).stderr(end()))
        .spawn()
        .unwrap();
    // Theirs are the only ones left, so that the reader comes to an end.
    drop((command, pair.slave));
    let mut terminal = File::from(pair.master);
    let mut sent = Vec::new();
    let mut buffer = [0; 4096];
    // Linux says EIO when the last one has closed the other side.
    while let Ok(read @ 1..) = terminal.read(&mut buffer) {
        sent.extend(&buffer[..read]);
    }
    let ended = child.wait().unwrap();
    (ended.code(), String::from_utf8_lossy(&sent).into_owned())
}

const TEST: [&str; 6] = [
    "test",
    "--locked",
    "--test",
    "tasks",
    "--",
    "locks_in_one_order",
];

#[test]
fn a_terminal_shows_how_far_the_tests_are() {
    let (code, sent) = on_a_terminal(&TEST, &[("SQUALL_BUDGET", "3s")]);
    assert_eq!(code, Some(0), "{sent}");
    for part in [
        "locks_in_one_order",
        " seeds, ",
        " simulated",
        // The bar is taken away again.
        "\u{1b}[2K",
        "... \u{1b}[1m\u{1b}[32mok\u{1b}[0m",
        "1 passed",
    ] {
        assert!(sent.contains(part), "`{part}` is missing in:\n{sent}");
    }
}

#[test]
fn no_colour_is_honoured() {
    let (code, sent) = on_a_terminal(&TEST, &[("SQUALL_SEEDS", "3"), ("NO_COLOR", "1")]);
    assert_eq!(code, Some(0), "{sent}");
    assert!(sent.contains("... ok"), "{sent}");
    assert!(!sent.contains("\u{1b}[32m"), "{sent}");
}
