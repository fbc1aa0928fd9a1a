//! Backtraces for reading: the frames that matter out of many.

use std::fmt::Write;

/// The most frames that a report shows.
const SHOWN: usize = 24;

/// The frames of a backtrace that are the program's own: without what takes the backtrace, panics, or starts the run, and
/// with the inside of tokio's runtime folded. The whole of it with `RUST_BACKTRACE=full`.
pub(crate) fn trim(backtrace: &str) -> String {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "full") {
        return backtrace.trim_end().to_owned();
    }
    let frames = parse(backtrace);
    let end = frames
        .iter()
        .position(|frame| OUTERMOST.iter().any(|sign| frame.name.contains(sign)));
    let frames = &frames[..end.unwrap_or(frames.len())];
    let start = frames
        .iter()
        .rposition(|frame| INNERMOST.iter().any(|sign| frame.name.contains(sign)));
    let frames = &frames[start.map_or(0, |start| start + 1)..];
    let outside = || frames.iter().skip_while(|frame| is_ours(frame));
    let mut told: Vec<&Frame<'_>> = outside().filter(|frame| !is_noise(frame)).collect();
    if told.is_empty() {
        // It was deep in the runtime, with nothing of the program's own on the stack.
        told = outside().collect();
    }
    let mut out = String::new();
    for (shown, run) in told.chunk_by(|a, b| a == b).enumerate() {
        if shown == SHOWN {
            out.push_str("... (RUST_BACKTRACE=full shows all)");
            break;
        }
        let times = if run.len() > 1 {
            format!(" ({} times)", run.len())
        } else {
            String::new()
        };
        let _ = writeln!(out, "{}{times}", run[0].name);
        if let Some(at) = run[0].at {
            let _ = writeln!(out, "    at {}", shorten(at));
        }
    }
    out.trim_end().to_owned()
}

/// Whether a backtrace is that of a runtime's thread that has nothing to do.
pub(crate) fn idles(backtrace: &str) -> bool {
    let frames = parse(backtrace);
    let mut outside = frames.iter();
    let below = [
        "mio::",
        "parking_lot",
        "std::",
        "core::",
        "alloc::",
        "backtrace::",
    ];
    let plain = |frame: &Frame<'_>| frame.name.trim_start_matches('<').to_owned();
    let first = outside.find(|frame| {
        !is_ours(frame) && !below.iter().any(|start| plain(frame).starts_with(start))
    });
    first.map(plain).is_some_and(|name| {
        name.starts_with("tokio::runtime::") || name.starts_with("tokio::loom::")
    })
}

/// Where a backtrace was taken: its first place outside std, or, without one, its first function.
pub(crate) fn place(backtrace: &str) -> Option<String> {
    let trimmed = trim(backtrace);
    let places = trimmed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("at "));
    // The innermost place that is neither std's nor this crate's.
    let mut name = "";
    let mut own = None;
    for line in trimmed.lines().map(str::trim) {
        match line.strip_prefix("at ") {
            None => name = line,
            Some(at)
                if own.is_none()
                    && !at.starts_with("library/")
                    && !name.contains("squall::kernel::") =>
            {
                own = Some(at);
            }
            Some(_) => {}
        }
    }
    own.or(places.clone().next())
        .or(trimmed.lines().next())
        .map(str::to_owned)
}

/// A place in std without the compiler's own directory.
fn shorten(at: &str) -> &str {
    at.strip_prefix("/rustc/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(at, |(_, rest)| rest)
}

/// The last frames of what takes a backtrace or panics.
const INNERMOST: [&str; 9] = [
    "rust_begin_unwind",
    "__rust_end_short_backtrace",
    "core::panicking::",
    "core::result::unwrap_failed",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::cell::panic_already",
    "std::panicking::begin_panic",
    "std::backtrace::Backtrace::",
];
/// The first frames of what starts a run or a thread.
const OUTERMOST: [&str; 4] = [
    "squall::run::start::run_body",
    "squall::run::start::block_on",
    "std::sys::backtrace::__rust_begin_short_backtrace",
    "squall::kernel::thread::run_body",
];
/// Frames that say nothing about the program.
const NOISE: [&str; 9] = [
    "squall::check::detect::",
    "core::ops::function::",
    "core::panic::unwind_safe",
    "std::panic::catch_unwind",
    "std::panicking::",
    "tokio::runtime::",
    "tokio::task::coop",
    "std::thread::local::LocalKey",
    "alloc::boxed::Box<F,A> as core::ops::function",
];

/// Whether what called this is squall, or what starts a thread.
pub(crate) fn begins_a_run(name: &str) -> bool {
    OUTERMOST.iter().any(|sign| name.contains(sign))
}

/// Where frames of a run on madsim are that say nothing about the program.
const MADSIM: [&str; 5] = [
    "/madsim-",
    "/async-task-",
    "src/kernel/portable/",
    "src/kernel/waits.rs",
    "library/",
];

fn is_noise(frame: &Frame<'_>) -> bool {
    let name = frame.name.trim_start_matches('<');
    if cfg!(squall_madsim) {
        let at = frame.at.map_or("", shorten);
        if name == "__rust_try" || MADSIM.iter().any(|place| at.contains(place)) {
            return true;
        }
    }
    if !is_short(name) {
        return NOISE.iter().any(|noise| name.starts_with(noise));
    }
    // Of what was inlined, the source file says more than the name.
    let Some(at) = frame.at.map(absolute) else {
        return false;
    };
    let files = [
        "library/std/src/thread/local.rs",
        "library/std/src/panic",
        "library/core/src/panic",
        "library/core/src/ops/function.rs",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/check/detect/"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/run/"),
    ];
    let runtime = ["/src/runtime/", "/src/task/coop"];
    files.iter().any(|file| shorten(&at).starts_with(file))
        || at.contains("/tokio-1.") && runtime.iter().any(|part| at.contains(part))
}

/// Whether this is the name of a function of C, or of one that was inlined, where line tables are all there is to go by.
fn is_short(name: &str) -> bool {
    !name
        .split('<')
        .next()
        .is_some_and(|path| path.contains("::"))
}

/// A place as a path from the root: std words those below the current directory from there.
fn absolute(at: &str) -> String {
    match (at.strip_prefix("./"), std::env::current_dir()) {
        (Some(rest), Ok(directory)) => directory.join(rest).display().to_string(),
        _ => at.to_owned(),
    }
}

/// Whether a frame at the inner end of a backtrace is not the program's: the kernel, the libc symbols in front of it, what
/// panicked on the program's behalf.
fn is_ours(frame: &Frame<'_>) -> bool {
    let name = frame.name.trim_start_matches('<');
    let machinery = [
        "squall::kernel::",
        "std::sys::",
        "std::backtrace",
        "core::result::Result",
        "core::option::Option",
        "squall::check::",
        "squall::sim::points::",
        "squall_points::",
    ];
    if !is_short(name) {
        return machinery.iter().any(|start| name.starts_with(start));
    }
    let sources = [
        "library/",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/kernel/"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/check/"),
    ];
    let place = frame.at.map(absolute);
    let ours = |at: &str| sources.iter().any(|start| shorten(at).starts_with(start));
    place.is_none_or(|at| ours(&at))
}

#[derive(PartialEq)]
struct Frame<'a> {
    name: &'a str,
    at: Option<&'a str>,
}

fn parse(backtrace: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in backtrace.lines() {
        let line = line.trim();
        if let Some(at) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.at = Some(at);
            }
        } else if let Some((number, name)) = line.split_once(": ")
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            frames.push(Frame { name, at: None });
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_frames_stay() {
        let backtrace = "   0: std::backtrace::Backtrace::force_capture\n             at /rustc/x/backtrace.rs:1:2\n   1: squall::run::scribe::Scribe::hook\n   2: core::panicking::panic_fmt\n   3: shop::buy\n             at ./src/lib.rs:3:9\n   4: tokio::runtime::park::block_on\n   5: shop::test\n   6: squall::run::start::run_body\n   7: main\n";
        assert_eq!(
            trim(backtrace),
            "shop::buy\n    at ./src/lib.rs:3:9\nshop::test"
        );
    }

    #[test]
    fn recursion_is_told_once() {
        let at = "             at /rustc/0123/library/core/src/x.rs:1:2\n";
        let backtrace = format!("0: a::b\n{at}1: a::b\n{at}2: a::b\n{at}3: a::c\n");
        assert_eq!(
            trim(&backtrace),
            "a::b (3 times)\n    at library/core/src/x.rs:1:2\na::c"
        );
    }

    #[test]
    fn the_kernel_at_the_inner_end_is_left_out() {
        let backtrace = "   0: std::backtrace::Backtrace::create\n   1: squall::kernel::thread::switch\n   2: syscall\n   3: std::sys::pal::futex\n   4: std::thread::park\n   5: shop::wait\n";
        assert_eq!(trim(backtrace), "std::thread::park\nshop::wait");
    }
}
