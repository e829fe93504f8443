//! Settings of a replicator that runs outside of a stack.

use crate::emulator::Emulator;
use crate::{DESTINATION_REGION, SOURCE_REGION};

/// The settings that every copying function is tested with.
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

/// The environment of a replicator that talks to `emulator` as root, with the settings that are required and
/// `more` of them; a later entry of one name wins.
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
