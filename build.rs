//! Says to the code which engine a build has: the kernel, madsim's simulator, or none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(squall_madsim)");
    let set = |name| std::env::var_os(name).is_some();
    if set("CARGO_FEATURE_MADSIM") && set("CARGO_CFG_MADSIM") {
        // The kernel is left out, as on platforms that it does not run on, and madsim takes its place.
        println!("cargo:rustc-cfg=squall_portable");
        println!("cargo:rustc-cfg=squall_madsim");
    }
}
