//! Builds the peers' programs with cargo, each as it must be: madsim under its cfg flag and in a target directory of its own,
//! squall's by `cargo test` and by `cargo squall test`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where the programs are.
pub struct Built {
    pub tokio: String,
    pub shuttle: String,
    pub loom: String,
    pub turmoil: String,
    pub madsim: String,
    pub squall: String,
    pub instrumented: String,
    /// As `instrumented`, with accesses to shared memory as scheduling points.
    pub memory: String,
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the driver lies in the workspace")
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(here());
    cargo
}

/// Builds everything; cargo's own output goes to standard error.
pub fn all() -> Result<Built> {
    let binary = |name: &str| -> Result<String> {
        let mut command = cargo();
        command.args(["build", "--release", "-p", name]);
        executable(command, name)
    };
    let mut command = cargo();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| here().join("target"), PathBuf::from);
    command
        .args([
            "build",
            "--release",
            "-p",
            "squall-peers-on-madsim",
            "--target-dir",
        ])
        .arg(target.join("madsim"))
        .env("RUSTFLAGS", "--cfg madsim");
    let madsim = executable(command, "squall-peers-on-madsim")?;
    const TEST: [&str; 5] = [
        "test",
        "--release",
        "--no-run",
        "-p",
        "squall-peers-on-squall",
    ];
    let mut command = cargo();
    command.args(TEST);
    let squall = executable(command, "peer")?;
    let squall_command = squall_command()?;
    let mut command = instrumenting(&squall_command);
    command.args(TEST);
    let instrumented = executable(command, "peer")?;
    let mut command = instrumenting(&squall_command);
    command.args(TEST).args(["--points", "memory"]);
    let memory = executable(command, "peer")?;
    Ok(Built {
        tokio: binary("squall-peers-on-tokio")?,
        shuttle: binary("squall-peers-on-shuttle")?,
        loom: binary("squall-peers-on-loom")?,
        turmoil: binary("squall-peers-on-turmoil")?,
        madsim,
        squall,
        instrumented,
        memory,
    })
}

/// Builds this repository's `cargo squall`, unless one is there.
fn squall_command() -> Result<PathBuf> {
    if let Some(there) = std::env::var_os("PEERS_CARGO_SQUALL") {
        return Ok(there.into());
    }
    let mut command = cargo();
    command.args([
        "build",
        "--release",
        "--manifest-path",
        "../../cargo-squall/Cargo.toml",
    ]);
    Ok(executable(command, "cargo-squall")?.into())
}

fn instrumenting(squall_command: &Path) -> Command {
    let mut command = Command::new(squall_command);
    command.current_dir(here()).arg("squall");
    command
}

/// Runs cargo and finds the program that it built under this target's name.
fn executable(mut command: Command, target: &str) -> Result<String> {
    let output = command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        let words: Vec<&OsStr> = command.get_args().collect();
        bail!(
            "{:?} {words:?} failed: {}",
            command.get_program(),
            output.status
        );
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let found = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let named = message["target"]["name"].as_str()? == target;
        let program = message["executable"].as_str().filter(|_| named)?;
        Some(program.to_owned())
    });
    found.with_context(|| format!("cargo built no program of {target}"))
}

/// The machine and the versions, as text.
pub fn environment() -> Result<String> {
    let metadata = cargo().args(["metadata", "--format-version=1"]).output()?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).context("cargo metadata said no JSON")?;
    let mut versions = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (name, version) = (package["name"].as_str(), package["version"].as_str());
        if let (Some(name @ ("tokio" | "shuttle" | "loom" | "madsim" | "turmoil")), Some(version)) =
            (name, version)
        {
            versions.push(format!("{name} {version}"));
        }
    }
    let rustc = Command::new("rustc").arg("--version").output()?;
    let processors = std::thread::available_parallelism()?;
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(format!(
        "{}; {processors} processors, {}; {}",
        versions.join(", "),
        model.map_or("unknown", |(_, model)| model),
        String::from_utf8_lossy(&rustc.stdout).trim()
    ))
}
