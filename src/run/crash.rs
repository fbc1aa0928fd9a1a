//! Names for the addresses that a crashed child left. `judge` asks.

use std::ffi::c_void;
use std::fmt::Write;

use crate::kernel::abi::real::blackbox::CrashRecord;
use crate::kernel::abi::real::modules::{self, Module};

/// The backtrace of a crash, in the form in which std prints its own. `modules` says where the code of the crashed process
/// was; the same files are loaded here, perhaps elsewhere.
pub(crate) fn resolve(crash: &CrashRecord, modules: &[Module]) -> String {
    let here = modules::loaded();
    // The handler's own frames come first; the program's begin where it was interrupted.
    let start = crash
        .frames
        .iter()
        .position(|frame| *frame == crash.instruction);
    let mut frames: Vec<u64> = crash.frames[start.unwrap_or(0)..].to_vec();
    if frames.is_empty() {
        frames.push(crash.instruction);
    }
    let mut out = String::new();
    for (number, frame) in frames.into_iter().enumerate() {
        // A return address belongs to the call before it.
        let inside = if number == 0 {
            frame
        } else {
            frame.saturating_sub(1)
        };
        describe(&mut out, number, inside, modules, &here);
    }
    out
}

fn describe(out: &mut String, number: usize, address: u64, there: &[Module], here: &[Module]) {
    let bug = "squall bug: a String refused text";
    let Some(module) = there
        .iter()
        .find(|module| (module.start..module.end).contains(&address))
    else {
        writeln!(out, "{number:4}: {address:#x}").expect(bug);
        return;
    };
    let mut named = false;
    if let Some(same) = here.iter().find(|other| other.path == module.path) {
        let address = address - module.base + same.base;
        backtrace::resolve(address as *mut c_void, |symbol| {
            let Some(name) = symbol.name() else { return };
            named = true;
            writeln!(out, "{number:4}: {name:#}").expect(bug);
            if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                writeln!(
                    out,
                    "             at {}:{line}:{}",
                    file.display(),
                    symbol.colno().unwrap_or(1)
                )
                .expect(bug);
            }
        });
    }
    if !named {
        let name = if module.path.is_empty() {
            "the program"
        } else {
            &module.path
        };
        writeln!(out, "{number:4}: {name} + {:#x}", address - module.base).expect(bug);
    }
}
