//! Says to the code which engine a build has: the kernel, madsim's simulator, or none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(squall_kernel, squall_madsim)");
    // The platform that is built for, not the one that builds.
    let target = |of: &str, is: &str| {
        std::env::var(format!("CARGO_CFG_TARGET_{of}")).is_ok_and(|value| value == is)
    };
    let set = |name| std::env::var_os(name).is_some();
    let runs_here = target("OS", "linux") && target("ARCH", "x86_64") && target("ENV", "gnu");
    let left_out = set("CARGO_CFG_SQUALL_PORTABLE") || set("CARGO_CFG_LOOM");
    if set("CARGO_FEATURE_MADSIM") && set("CARGO_CFG_MADSIM") {
        // It takes the kernel's place, on any platform.
        println!("cargo:rustc-cfg=squall_madsim");
    } else if runs_here && !left_out {
        println!("cargo:rustc-cfg=squall_kernel");
    }
}
