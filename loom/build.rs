//! Copies the baton into the build, once as it is and once for each bug that is planted: a change of one place. A place that is not
//! there any more, or not once, ends the build, so no planted bug can quietly be the baton itself.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Names of copies, what is replaced in each, and by what.
const PLANTED: [(&str, &str, &str); 4] = [
    (
        "acquire_missing",
        "self.word.load(Ordering::Acquire)",
        "self.word.load(Ordering::Relaxed)",
    ),
    (
        "release_missing",
        "self.word.store(1, Ordering::Release);\n        futex_wake(&self.word);",
        "self.word.store(1, Ordering::Relaxed);\n        futex_wake(&self.word);",
    ),
    (
        "wake_missing",
        "self.word.store(1, Ordering::Release);\n        futex_wake(&self.word);",
        "self.word.store(1, Ordering::Release);",
    ),
    (
        "wake_too_early",
        "self.word.store(1, Ordering::Release);\n        futex_wake(&self.word);",
        "futex_wake(&self.word);\n        self.word.store(1, Ordering::Release);",
    ),
];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let source = package.join("../src/kernel/thread/baton.rs");
    println!("cargo::rerun-if-changed={}", source.display());
    let text = fs::read_to_string(&source).expect("the baton's file");
    // Comments on the file as a whole cannot stand where it is included.
    let body: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .collect();
    let body = body.join("\n");
    write(&out, "real", &body);
    for (name, old, new) in PLANTED {
        let places = body.matches(old).count();
        assert_eq!(
            places, 1,
            "{name}: the baton has {places} places like `{old}`; plant the bug anew"
        );
        write(&out, name, &body.replace(old, new));
    }
}

fn write(out: &Path, name: &str, text: &str) {
    fs::write(out.join(format!("{name}.rs")), text).expect("write the copy");
}
