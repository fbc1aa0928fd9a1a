//! Any bytes as a saved choice log: read and written the same way again, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squall::choice::Log;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(log) = Log::from_text(&text) {
        assert_eq!(Log::from_text(&log.to_text()).as_ref(), Ok(&log));
    }
});
