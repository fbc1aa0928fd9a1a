//! Builds the library that `cargo squall exec` preloads, so that an installed command carries it and needs neither the source nor
//! the network later. Only in release builds, as `cargo install` makes them: it is a second build of the crate `squall` and takes
//! half a minute. Other builds make the library when it is first asked for (`src/exec/library.rs`).

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(squall_embedded)");
    println!("cargo::rerun-if-env-changed=SQUALL_PRELOAD");
    println!("cargo::rerun-if-changed=build.rs");
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let supported = set("CARGO_CFG_TARGET_OS") == "linux"
        && set("CARGO_CFG_TARGET_ARCH") == "x86_64"
        && set("CARGO_CFG_TARGET_ENV") == "gnu";
    if set("PROFILE") != "release" || !supported {
        return;
    }
    let root = PathBuf::from(set("CARGO_MANIFEST_DIR"));
    let root = root
        .parent()
        .expect("this package lies in squall's workspace");
    for part in ["src", "macros", "preload", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
    let library = build(root, Path::new(&set("OUT_DIR")));
    println!("cargo::rustc-env=SQUALL_PRELOAD={}", library.display());
    println!("cargo::rustc-cfg=squall_embedded");
}

fn build(root: &Path, out: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").expect("cargo names itself to build scripts");
    let target = out.join("preload");
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(root.join("preload/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root);
    // What cargo says to this build of the command does not hold for that of the library.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO_FEATURE_", "CARGO_CFG_", "CARGO_PKG_", "DEP_"];
        if ours.iter().any(|start| text.starts_with(start)) || text == "CARGO_ENCODED_RUSTFLAGS" {
            command.env_remove(&name);
        }
    }
    let ended = command.status().expect("cargo can be started");
    assert!(
        ended.success(),
        "the library that `cargo squall exec` preloads does not build: see above"
    );
    target.join("release/libsquall_preload.so")
}
