//! Fuzz target: arbitrary text as the body of one message in a batch of valid ones.
#![no_main]

#[expect(dead_code, reason = "each target uses the checks of its own parser")]
#[path = "../../crates/core/tests/mutations/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    checks::queue_body(body).expect("the parser's guarantees");
});
