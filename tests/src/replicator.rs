//! Settings of a replicator that runs outside of a stack.

use crate::emulator::Emulator;
use crate::{DESTINATION_REGION, SOURCE_REGION};

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
    let required = [
        ("SOURCE_BUCKET", source_bucket),
        ("SOURCE_REGION", SOURCE_REGION),
        ("DESTINATION_BUCKET", destination_bucket),
        ("DESTINATION_REGION", DESTINATION_REGION),
        ("OWNERSHIP", "exclusive"),
    ];
    let settings = required.iter().chain(more);
    environment.extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    environment
}
