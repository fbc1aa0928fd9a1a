//! `cargo squall doctor`: what squall would use, and whether it is there.

use crate::arguments::Arguments;
use crate::workspace::Workspace;
use crate::{instrument, status};
use anyhow::Result;
use std::ffi::OsString;

/// Prints the findings; the status is that of wrong input if something that squall needs is missing.
pub fn run(manifest_path: Option<OsString>) -> Result<u8> {
    let mut healthy = true;
    let mut say = |good: bool, needed: bool, what: &str, finding: String| {
        healthy &= good || !needed;
        let mark = match (good, needed) {
            (true, _) => "ok  ",
            (false, true) => "MISS",
            (false, false) => "note",
        };
        println!("{mark} {what}: {finding}");
    };
    let platform = cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    ));
    let here = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
    say(
        platform,
        true,
        "platform",
        format!("{here}; simulations run on x86-64 Linux with glibc"),
    );

    let metadata = manifest_path
        .map(|path| vec!["--manifest-path".into(), path])
        .unwrap_or_default();
    match Workspace::ask(&Arguments {
        metadata,
        ..Arguments::default()
    }) {
        Err(error) => say(false, true, "workspace", format!("{error:#}")),
        Ok(workspace) => match &workspace.tokio {
            Err(no) => say(false, false, "tokio", no.to_string()),
            Ok(tokio) => match instrument::check(tokio)? {
                Ok(()) => {
                    let what: Vec<&str> = instrument::SEAMS
                        .iter()
                        .map(|seam| seam.what)
                        .take(6)
                        .collect();
                    say(
                        true,
                        false,
                        "tokio",
                        format!("{} can be instrumented: {}", tokio.version, what.join(", ")),
                    );
                }
                Err(mismatch) => say(
                    false,
                    false,
                    "tokio",
                    format!("{} stays stock: {mismatch}", tokio.version),
                ),
            },
        },
    }
    Ok(if healthy { status::HELD } else { status::USAGE })
}
