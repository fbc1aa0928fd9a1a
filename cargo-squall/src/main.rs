//! The cargo command of squall.
fn main() {}
