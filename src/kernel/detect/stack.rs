//! Where the program is, for what the detectors say: stacks as addresses, which are cheap, and in words. The other files of `detect`
//! ask.

use super::Detect;
use std::fmt::Write as _;

/// Return addresses, innermost first.
pub(super) type Stack = Vec<usize>;

/// Where the running thread is.
pub(super) fn stack() -> Stack {
    let mut addresses = Vec::with_capacity(64);
    backtrace::trace(|frame| {
        addresses.push(frame.ip() as usize);
        true
    });
    addresses
}

/// The functions at a return address, with their places.
fn words(address: usize) -> Vec<String> {
    let mut frames = Vec::new();
    // A return address lies behind the call.
    let at = std::ptr::without_provenance_mut(address.saturating_sub(1));
    backtrace::resolve(at, |symbol| {
        let Some(name) = symbol.name() else {
            return;
        };
        let mut text = format!("{name:#}");
        if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
            let column = symbol.colno().unwrap_or(1);
            let _ = write!(text, "\n             at {}:{line}:{column}", file.display());
        }
        frames.push(text);
    });
    frames
}

/// The stack from the program's call on, without the kernel's own functions above it.
pub(super) fn from_call(words: &str) -> &str {
    const DOOR: &str = ": squall::kernel::abi::";
    let frames = words.split_inclusive('\n').take(80);
    let mut at = 0;
    let mut cut = 0;
    for line in frames {
        at += line.len();
        if line.contains(DOOR)
            || (cut > 0 && line.starts_with("             at ") && line.contains("/kernel/abi/"))
        {
            cut = at;
        }
    }
    &words[cut..]
}

/// Whether something in these words is of the kernel's, or of what walks stacks for it.
fn of_kernel(words: &[String]) -> bool {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kernel/");
    let signs = [source, "squall::kernel::", "backtrace::backtrace::"];
    let ours = |text: &String| signs.iter().any(|sign| text.contains(sign));
    words.iter().any(ours)
}

/// Whether a panic there is the end of its thread: nothing catches it before it comes to where std started the thread. False where
/// that cannot be known, since inlined functions have no names without debug information.
pub(super) fn ends_thread(words: &str) -> bool {
    let told = words
        .lines()
        .any(|line| line.starts_with("             at "));
    let ends = words.lines().find_map(|line| {
        let catches = ["catch_unwind", "panicking::try", "__rust_try"];
        if line.contains("__rust_begin_short_backtrace") {
            return Some(true);
        }
        catches
            .iter()
            .any(|catch| line.contains(catch))
            .then_some(false)
    });
    told && ends == Some(true)
}

impl Detect {
    /// A stack in words, as std words them, from the call on that led into the kernel.
    pub(super) fn words(&mut self, stack: &[usize]) -> String {
        let mut text = String::new();
        let mut number = 0;
        for address in stack {
            let frames = self.worded.entry(*address);
            let frames = frames.or_insert_with(|| words(*address));
            if number == 0 && of_kernel(frames) {
                continue;
            }
            for frame in frames.iter() {
                let _ = writeln!(text, "{number:4}: {frame}");
            }
            number += 1;
        }
        text
    }
}
