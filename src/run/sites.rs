//! From a stack's addresses to the place in the program's own code that a reader wants to see. Called by `child` when a
//! recorded run is over.

use std::ffi::c_void;

use super::frames;
use crate::report::{Place, Site};

/// A frame with its name and place.
struct Frame {
    name: String,
    file: String,
    line: u32,
}

/// The innermost place of a stack that is the program's own, and what it called. `None` if there is none.
pub(crate) fn site(stack: &[usize]) -> Option<Site> {
    let mut all = Vec::new();
    for address in stack {
        backtrace::resolve(*address as *mut c_void, |symbol| {
            let name = symbol.name().map(|name| format!("{name:#}"));
            let file = symbol.filename().map(|file| file.display().to_string());
            all.push(Frame {
                name: name.unwrap_or_default(),
                file: file.unwrap_or_default(),
                line: symbol.lineno().unwrap_or(0),
            });
        });
        if all
            .last()
            .is_some_and(|frame| frames::begins_a_run(&frame.name))
        {
            all.pop();
            break;
        }
    }
    locate(&all)
}

fn locate(all: &[Frame]) -> Option<Site> {
    // Best what belongs to the workspace; else what is neither std's nor the runtime's, such as a test suite that lies in
    // cargo's registry.
    let own = |frame: &Frame| is_programs(&frame.name) && !is_foreign(&frame.file);
    let at = all.iter().position(own).or_else(|| {
        all.iter()
            .position(|frame| is_programs(&frame.name) && !is_std(&frame.file))
    })?;
    let via = all[..at].iter().rev().map(|frame| short(&frame.name));
    let via = via.into_iter().find(|name| !name.is_empty());
    let place = |frame: &Frame| Place {
        function: without_parameters(&frame.name),
        file: frame.file.clone(),
        line: frame.line,
    };
    let callers = all[at + 1..].iter().filter(|frame| own(frame));
    Some(Site {
        place: place(&all[at]),
        via: via.unwrap_or_default(),
        callers: callers.take(CALLERS).map(place).collect(),
    })
}

/// The most callers of a place that are kept.
const CALLERS: usize = 8;

/// Crates whose functions are never the program's own.
const MACHINERY: [&str; 9] = [
    "squall",
    "tokio",
    "core",
    "std",
    "alloc",
    "mio",
    "backtrace",
    "futures_util",
    "futures_core",
];

fn is_programs(name: &str) -> bool {
    let name = name.trim_start_matches(['<', '&', '(', '*']);
    let Some((krate, _)) = name.split_once("::") else {
        return false;
    };
    let krate = krate.split('[').next().unwrap_or(krate);
    let krate = krate.trim_start_matches("mut ").trim_start_matches("dyn ");
    let named = krate.chars().all(|c| c.is_alphanumeric() || c == '_');
    named && !MACHINERY.contains(&krate)
}

fn is_std(file: &str) -> bool {
    file.contains("/rustc/") || file.contains("/rustlib/src/")
}

/// Whether a file is not of the workspace that is tested.
fn is_foreign(file: &str) -> bool {
    let elsewhere = [
        "/registry/src/",
        "/git/checkouts/",
        "/target/squall/",
        "/vendor/",
    ];
    file.is_empty() || is_std(file) || elsewhere.iter().any(|sign| file.contains(sign))
}

/// A path without what stands in angle brackets, unless the path begins with them.
fn without_parameters(name: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            '>' if depth > 0 && !out.ends_with('-') => depth -= 1,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out.replace("::::", "::").trim_matches(':').to_owned()
}

/// What a reader calls the function of a library: the type and the method, or the function. Empty for what only passes the
/// call on.
fn short(name: &str) -> String {
    // `<tokio::time::sleep::Sleep as core::future::future::Future>::poll` is `Sleep`.
    let path = match name
        .strip_prefix('<')
        .and_then(|rest| rest.split_once(" as "))
    {
        Some((path, rest)) if rest.contains("Future>::poll") => path.to_owned(),
        Some((path, rest)) => {
            let method = rest.rsplit("::").next().unwrap_or("");
            format!("{path}::{method}")
        }
        None => name.to_owned(),
    };
    let path = without_parameters(&path);
    if !path.contains("::") {
        return String::new();
    }
    if PASSING_ON.iter().any(|sign| path.starts_with(sign)) {
        return String::new();
    }
    let parts: Vec<&str> = path
        .split("::")
        .filter(|part| !part.starts_with('{'))
        .collect();
    let Some((last, before)) = parts.split_last() else {
        return String::new();
    };
    match before.last() {
        Some(owner) if owner.starts_with(char::is_uppercase) => format!("{owner}::{last}"),
        _ => (*last).to_owned(),
    }
}

/// Functions that say nothing about what was awaited or called.
const PASSING_ON: [&str; 12] = [
    "core::pin::Pin",
    "core::ops::",
    "core::future::",
    "core::panic::",
    "core::task::",
    "alloc::boxed::Box",
    "std::panic",
    "std::future",
    "std::thread::local",
    "tokio::future::",
    "tokio::macros::",
    "futures_util::future::future::FutureExt",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, file: &str, line: u32) -> Frame {
        Frame {
            name: name.to_owned(),
            file: file.to_owned(),
            line,
        }
    }

    #[test]
    fn the_await_is_the_programs_innermost_frame() {
        let registry = "/home/x/.cargo/registry/src/index/tokio-1.54.1/src/sync/mutex.rs";
        let site = locate(&[
            frame(
                "squall::kernel::trace::Recording::stack",
                "/x/src/kernel/trace.rs",
                1,
            ),
            frame(
                "<tokio::sync::batch_semaphore::Acquire as core::future::future::Future>::poll",
                registry,
                2,
            ),
            frame(
                "tokio::sync::mutex::Mutex<T>::lock::{{closure}}",
                registry,
                3,
            ),
            frame("shop::buy::{{closure}}", "/work/shop/src/lib.rs", 31),
            frame(
                "<core::pin::Pin<P> as core::future::future::Future>::poll",
                "/rustc/1/pin.rs",
                4,
            ),
            frame("shop::main::{{closure}}", "/work/shop/src/lib.rs", 50),
        ])
        .unwrap();
        assert_eq!(site.via, "Mutex::lock");
        assert_eq!(site.place.short(), "lib.rs:31");
        assert_eq!(site.place.name(), "buy");
        assert_eq!(site.callers.len(), 1);
    }

    #[test]
    fn a_runtime_by_itself_is_nowhere() {
        let site = locate(&[
            frame("epoll_wait", "/x/abi/epoll.rs", 1),
            frame(
                "mio::poll::Poll::poll",
                "/home/x/.cargo/registry/src/index/mio/poll.rs",
                2,
            ),
            frame("tokio::runtime::park::Inner::park", "", 3),
        ]);
        assert_eq!(site, None);
    }

    #[test]
    fn names_of_what_is_awaited() {
        for (name, is) in [
            (
                "<tokio::time::sleep::Sleep as core::future::future::Future>::poll",
                "Sleep",
            ),
            (
                "tokio::task::yield_now::yield_now::{{closure}}",
                "yield_now",
            ),
            (
                "<tokio::runtime::task::join::JoinHandle<T> as core::future::future::Future>::poll",
                "JoinHandle",
            ),
            ("std::sync::poison::mutex::Mutex<T>::lock", "Mutex::lock"),
            ("std::thread::JoinHandle<T>::join", "JoinHandle::join"),
            (
                "<core::pin::Pin<P> as core::future::future::Future>::poll",
                "",
            ),
            ("epoll_wait", ""),
        ] {
            assert_eq!(short(name), is, "{name}");
        }
    }
}
