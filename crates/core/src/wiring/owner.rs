//! The name under which a stack's own entries are found again.

use std::fmt;

/// Names the entries of one custom resource of one stack, in every configuration it writes into.
///
/// The name is the same for every request of `CloudFormation` about that resource, and different for every other stack:
/// an entry is ours when its Id equals this name, and only then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(String);

/// How much of the stack's name is kept for people to read.
const STACK_NAME_LETTERS: usize = 40;

impl OwnerId {
    /// Derives the name from the stack's ARN and the logical id of the resource in its template.
    #[must_use]
    pub fn new(stack_id: &str, logical_id: &str) -> Self {
        let stack_name: String = stack_name(stack_id)
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
            .take(STACK_NAME_LETTERS)
            .collect();
        let hash = fnv1a(&[stack_id, "\n", logical_id].concat());
        // Both halves take part: the low half alone has seen less of the early bytes.
        let short = (hash >> 32) ^ (hash & 0xffff_ffff);
        Self(format!("s3ferry-{stack_name}-{short:08x}"))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether an entry with this Id is ours.
    #[must_use]
    pub fn owns(&self, id: Option<&str>) -> bool {
        id == Some(self.as_str())
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Finds `name` in `arn:aws:cloudformation:region:account:stack/name/uuid`; without that form the whole text serves.
fn stack_name(stack_id: &str) -> &str {
    stack_id.split('/').nth(1).unwrap_or(stack_id)
}

/// Hashes a text by FNV-1a, 64 bits: the same value in every release, which the standard library does not promise.
///
/// <https://datatracker.ietf.org/doc/html/rfc9923>
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/ferry-source/5b1e0c10-0000-11ee-be56";

    #[test]
    fn fnv1a_gives_the_published_values() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn name_is_stable_and_contains_the_stack() {
        let owner = OwnerId::new(STACK, "BucketWiring");
        assert_eq!(owner.as_str(), "s3ferry-ferry-source-10c1b47b");
        assert!(owner.owns(Some(owner.as_str())));
        assert!(!owner.owns(Some("s3ferry-ferry-source")));
        assert!(!owner.owns(None));
    }

    #[test]
    fn name_differs_by_stack_and_by_resource() {
        let owner = OwnerId::new(STACK, "BucketWiring");
        assert_ne!(owner, OwnerId::new(STACK, "OtherWiring"));
        assert_ne!(owner, OwnerId::new(&STACK.replace("5b1e", "5b1f"), "BucketWiring"));
    }

    #[test]
    fn name_fits_whatever_the_stack_is_called() {
        let long = format!("arn:aws:cloudformation:r:a:stack/{}/u", "n".repeat(128));
        assert!(OwnerId::new(&long, "x").as_str().len() <= 64);
        assert!(OwnerId::new("", "").as_str().starts_with("s3ferry--"));
        assert!(OwnerId::new("ü/é\n/x", "").as_str().is_ascii());
    }
}
