//! Any bytes as a scenario file: read, or refused at a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squall::Scenario;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Scenario::parse("x.toml", &text) {
        assert!(error.line() >= 1 && error.line() <= text.matches('\n').count() + 1);
        assert!(error.column() >= 1 && error.to_string().starts_with("x.toml:"));
    }
});
