//! Settings of a function that runs outside of a stack.

use crate::emulator::Emulator;
use crate::{DESTINATION_REGION, SOURCE_REGION};

/// Returns the settings that every tested replicator and final-sync function has.
#[must_use]
pub fn settings<'a>(source_bucket: &'a str, destination_bucket: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("SOURCE_BUCKET", source_bucket),
        ("SOURCE_REGION", SOURCE_REGION),
        ("DESTINATION_BUCKET", destination_bucket),
        ("DESTINATION_REGION", DESTINATION_REGION),
        ("OWNERSHIP", "exclusive"),
    ]
}

/// Returns the environment of a function that uses `emulator` as root, with the required settings and `more`. A later
/// entry replaces an earlier one with the same name.
#[must_use]
pub fn environment(
    emulator: &Emulator,
    source_bucket: &str,
    destination_bucket: &str,
    more: &[(&str, &str)],
) -> Vec<(String, String)> {
    let mut environment = emulator.exports(SOURCE_REGION);
    let required = settings(source_bucket, destination_bucket);
    let settings = required.iter().chain(more);
    environment.extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    environment
}
