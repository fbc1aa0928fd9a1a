//! `cargo squall doctor`: what squall would use, and whether it is there.

use crate::arguments::Arguments;
use crate::workspace::Workspace;
use crate::{instrument, points, status};
use anyhow::Result;
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// `None` if nothing here says.
    there: Option<bool>,
    /// Simulations do not run without it.
    needed: bool,
    text: String,
}

impl Finding {
    fn new(what: &'static str, there: impl Into<Option<bool>>, text: impl Into<String>) -> Self {
        Finding {
            what,
            there: there.into(),
            needed: false,
            text: text.into(),
        }
    }

    fn needed(self) -> Self {
        Finding {
            needed: true,
            ..self
        }
    }

    fn print(&self) {
        let mark = match (self.there, self.needed) {
            (Some(true), _) => "ok  ",
            (Some(false), true) => "MISS",
            _ => "note",
        };
        println!("{mark} {}: {}", self.what, self.text);
    }
}

/// Prints the findings; the status is that of wrong input if something that squall needs is missing.
pub fn run(manifest_path: Option<OsString>) -> Result<u8> {
    let metadata = manifest_path.map_or(Vec::new(), |path| vec!["--manifest-path".into(), path]);
    let arguments = Arguments {
        metadata,
        ..Arguments::default()
    };
    let mut findings = vec![
        platform(),
        glibc(),
        fsgsbase(),
        address_layout(),
        user_dispatch(),
    ];
    findings.push(memory_points());
    findings.extend(workspace(&arguments)?);
    findings.iter().for_each(Finding::print);
    let missing = findings
        .iter()
        .any(|finding| finding.needed && finding.there == Some(false));
    Ok(if missing { status::USAGE } else { status::HELD })
}

fn platform() -> Finding {
    let good = cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    ));
    let here = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
    Finding::new(
        "platform",
        good,
        format!("{here}; simulations run on x86-64 Linux with glibc"),
    )
    .needed()
}

fn glibc() -> Finding {
    let output = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .stderr(Stdio::null())
        .output();
    let version = output
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    match version
        .as_deref()
        .map(str::trim)
        .filter(|version| !version.is_empty())
    {
        Some(version) => Finding::new("C library", true, version),
        None => Finding::new(
            "C library",
            None,
            "`getconf GNU_LIBC_VERSION` does not say; glibc is needed",
        ),
    }
}

/// The vector that Linux hands to a program: pairs of words, of which number 26 is `AT_HWCAP2`.
fn fsgsbase() -> Finding {
    const HWCAP2: u64 = 26;
    const FSGSBASE: u64 = 1 << 1;
    let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let (words, _) = vector.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let there = words
        .chunks_exact(2)
        .any(|pair| pair[0] == HWCAP2 && pair[1] & FSGSBASE != 0);
    let text = if there {
        "simulated threads are contexts that one thread carries"
    } else {
        "not offered, so each simulated thread has an OS thread: same results, slower (needs Linux 5.9)"
    };
    Finding::new("FSGSBASE", there, text)
}

/// Whether a program may ask for the same addresses in every process.
fn address_layout() -> Finding {
    let ran = Command::new("setarch")
        .args(["-R", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match ran {
        Ok(ended) if ended.success() => {
            Finding::new("address layout", true, "can be fixed (personality)")
        }
        Ok(_) => Finding::new(
            "address layout",
            false,
            "cannot be fixed here (personality is not allowed): programs that order things by address may differ from run to \
             run",
        ),
        Err(_) => Finding::new("address layout", None, "`setarch` is not there to try it"),
    }
}

fn user_dispatch() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(['.', '-']).map_while(|n| n.parse().ok());
    let version: Option<(u32, u32)> = numbers.next().zip(numbers.next());
    let there = version.map(|version| version >= (5, 11));
    let text = match there {
        Some(false) => "needs Linux 5.11: calls that do not go through libc would reach the system",
        _ => "calls that do not go through libc are caught",
    };
    Finding::new(
        "system call dispatch",
        there,
        format!("Linux {release}; {text}"),
    )
}

/// Whether `--points memory` works with the compiler at hand.
fn memory_points() -> Finding {
    let (compiler, tried) = points::check();
    match tried {
        Ok(()) => Finding::new(
            "memory points",
            true,
            format!("{compiler}: its passes make them"),
        ),
        Err(error) => Finding::new(
            "memory points",
            false,
            format!("{compiler}: not possible ({error:#})"),
        ),
    }
}

fn workspace(arguments: &Arguments) -> Result<Vec<Finding>> {
    let workspace = match Workspace::ask(arguments) {
        Ok(workspace) => workspace,
        Err(error) => {
            return Ok(vec![
                Finding::new("workspace", false, format!("{error:#}")).needed(),
            ]);
        }
    };
    let finding = match &workspace.tokio {
        Err(no) => Finding::new("tokio", false, no.to_string()),
        Ok(tokio) => match instrument::check(tokio)? {
            Ok(()) => {
                let what = instrument::gains().join(", ");
                Finding::new(
                    "tokio",
                    true,
                    format!("{} can be instrumented: {what}", tokio.version),
                )
            }
            Err(mismatch) => Finding::new(
                "tokio",
                false,
                format!("{} stays stock: {mismatch}", tokio.version),
            ),
        },
    };
    Ok(vec![finding])
}
