//! ID that identifies the configuration entries of a stack.

use std::fmt;

/// ID of the entries of one custom resource of one stack, in every configuration that contains them.
///
/// The ID is the same for every request of `CloudFormation` for that resource, and different for every other stack. An
/// entry belongs to the resource if and only if its ID equals this one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(String);

/// Maximum number of characters of the stack's name in the ID.
const STACK_NAME_LETTERS: usize = 40;

impl OwnerId {
    /// Derives the ID from the ARN of the stack and the logical ID of the resource in its template.
    #[must_use]
    pub fn new(stack_id: &str, logical_id: &str) -> Self {
        let stack_name: String = stack_name(stack_id)
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
            .take(STACK_NAME_LETTERS)
            .collect();
        let hash = fnv1a(&[stack_id, "\n", logical_id].concat());
        // Combines both halves, because the low half depends less on the first bytes.
        let short = (hash >> 32) ^ (hash & 0xffff_ffff);
        Self(format!("s3ferry-{stack_name}-{short:08x}"))
    }

    /// Returns the ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether an entry with this ID belongs to the resource.
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

/// Returns `name` in `arn:aws:cloudformation:region:account:stack/name/uuid`, or the whole text if it has another form.
fn stack_name(stack_id: &str) -> &str {
    stack_id.split('/').nth(1).unwrap_or(stack_id)
}

/// Returns the 64-bit FNV-1a hash. It is the same in every release, which the standard library does not guarantee.
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
    fn fnv1a_returns_the_published_values() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn id_is_stable_and_contains_the_stack_name() {
        let owner = OwnerId::new(STACK, "BucketWiring");
        assert_eq!(owner.as_str(), "s3ferry-ferry-source-10c1b47b");
        assert!(owner.owns(Some(owner.as_str())));
        assert!(!owner.owns(Some("s3ferry-ferry-source")));
        assert!(!owner.owns(None));
    }

    #[test]
    fn id_differs_by_stack_and_by_resource() {
        let owner = OwnerId::new(STACK, "BucketWiring");
        assert_ne!(owner, OwnerId::new(STACK, "OtherWiring"));
        assert_ne!(owner, OwnerId::new(&STACK.replace("5b1e", "5b1f"), "BucketWiring"));
    }

    #[test]
    fn id_length_is_limited_for_every_stack_name() {
        let long = format!("arn:aws:cloudformation:r:a:stack/{}/u", "n".repeat(128));
        assert!(OwnerId::new(&long, "x").as_str().len() <= 64);
        assert!(OwnerId::new("", "").as_str().starts_with("s3ferry--"));
        assert!(OwnerId::new("ü/é\n/x", "").as_str().is_ascii());
    }
}
