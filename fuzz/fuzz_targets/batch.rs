//! Fuzz target: payload of an invocation, parsed as tasks of a job or items of a map.
#![no_main]

#[expect(dead_code, reason = "each target uses the checks of its own parser")]
#[path = "../../crates/core/tests/mutations/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(payload) = serde_json::from_slice(data) {
        checks::batch(&payload).expect("the parser's guarantees");
    }
});
