//! What a binary is, from its bytes: whether a library can be preloaded into it, and who calls its tests.

use anyhow::{Context, Result, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a binary that can be run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has squall's kernel in it already.
    Linked,
    /// libtest's `main` calls its tests.
    Libtest,
    /// Any other program.
    Program,
}

/// Set-user-ID and set-group-ID.
const PRIVILEGED: u32 = 0o6000;
const INTERPRETER: u32 = 3;
const X86_64: u16 = 62;

/// Looks at a binary; an error says what keeps it from being run so.
pub fn look_at(path: &Path) -> Result<Kind> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let Some(interpreter) =
        interpreter(&bytes).with_context(|| format!("{shown} cannot be run so"))?
    else {
        bail!(
            "{shown} is statically linked: no library can be preloaded into it. Build it for a target that links glibc \
             dynamically, such as x86_64-unknown-linux-gnu without `-C target-feature=+crt-static`"
        );
    };
    if !interpreter.contains("ld-linux-x86-64") {
        bail!(
            "{shown} is loaded by {interpreter}, which is not glibc's; build it for x86_64-unknown-linux-gnu"
        );
    }
    let mode = std::fs::metadata(path)
        .with_context(|| format!("cannot read {shown}"))?
        .permissions()
        .mode();
    if mode & PRIVILEGED != 0 {
        bail!(
            "{shown} changes its user or group when it starts, and the system then preloads nothing"
        );
    }
    Ok(kind(&bytes))
}

fn kind(bytes: &[u8]) -> Kind {
    if contains(bytes, b"squall_keep") {
        return Kind::Linked;
    }
    // libtest reads this variable and takes this argument; a stripped binary has the texts still.
    let libtest: [&[u8]; 2] = [b"RUST_TEST_NOCAPTURE", b"include-ignored"];
    match libtest.iter().all(|text| contains(bytes, text)) {
        true => Kind::Libtest,
        false => Kind::Program,
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let first = text[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(text) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// The loader that an ELF program for x86-64 asks for; `None` if it does without.
fn interpreter(bytes: &[u8]) -> Result<Option<String>> {
    if !bytes.starts_with(b"\x7fELF") {
        bail!(
            "it is not a program of Linux (no ELF file); a script's interpreter would be run, not what it starts"
        );
    }
    if bytes.get(4..6) != Some(&[2, 1]) || number(bytes, 18, 2)? != u64::from(X86_64) {
        bail!("it is not a program for x86-64");
    }
    let start = number(bytes, 32, 8)?;
    let size = number(bytes, 54, 2)?;
    let count = number(bytes, 56, 2)?;
    for i in 0..count {
        let at = (start + i * size) as usize;
        if number(bytes, at, 4)? != u64::from(INTERPRETER) {
            continue;
        }
        let from = number(bytes, at + 8, 8)? as usize;
        let length = number(bytes, at + 32, 8)? as usize;
        let text = bytes
            .get(from..from.saturating_add(length))
            .context("the file is damaged")?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        return Ok(Some(String::from_utf8_lossy(text).into_owned()));
    }
    Ok(None)
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64> {
    let field = bytes
        .get(at..at.saturating_add(width))
        .context("the file is damaged")?;
    Ok(field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one program header that names a loader, or another one.
    fn elf(kind: u32, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&X86_64.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1u16.to_le_bytes());
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes[72..80].copy_from_slice(&120u64.to_le_bytes());
        bytes[96..104].copy_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text);
        bytes
    }

    #[test]
    fn the_loader_is_found() {
        let program = elf(INTERPRETER, b"/lib64/ld-linux-x86-64.so.2\0");
        let found = interpreter(&program).unwrap();
        assert_eq!(found.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(interpreter(&elf(1, b"")).unwrap(), None);
    }

    #[test]
    fn what_is_no_program_is_said_so() {
        assert!(interpreter(b"#!/bin/sh\n").is_err());
        assert!(interpreter(b"\x7fELF\x01\x01").is_err());
        let cut = &elf(INTERPRETER, b"/lib")[..80];
        assert!(interpreter(cut).is_err());
    }

    #[test]
    fn tests_are_told_from_programs() {
        assert_eq!(
            kind(b"..RUST_TEST_NOCAPTURE..include-ignored"),
            Kind::Libtest
        );
        assert_eq!(kind(b"..RUST_TEST_THREADS.."), Kind::Program);
        assert_eq!(
            kind(b"include-ignored RUST_TEST_NOCAPTURE squall_keep"),
            Kind::Linked
        );
    }
}
