//! Checks of prefixes that may select other keys than intended.

use crate::names::ObjectKey;

/// Characters that are wildcards in other tools, but ordinary characters of keys in S3.
const WILDCARDS: [char; 2] = ['*', '?'];

/// Returns the first character of a prefix that is a wildcard in other tools. S3 has no wildcards.
#[must_use]
pub fn wildcard_in(prefix: &str) -> Option<char> {
    prefix.chars().find(|letter| WILDCARDS.contains(letter))
}

/// Returns the upper bound of the keys in the folder with the name of the prefix. `None` if the prefix is a folder.
#[must_use]
pub fn behind_folder(prefix: &str) -> Option<String> {
    let names_a_folder = prefix.is_empty() || prefix.ends_with('/');
    let behind = format!("{prefix}/{}", char::MAX);
    (!names_a_folder && behind.len() <= ObjectKey::LIMIT_BYTES).then_some(behind)
}

/// Returns a key that the prefix selects outside the folder of its name: `data` also selects `database/a`. Returns
/// `None` for a prefix that ends between two words, such as `logs/2026-`, if no folder has its name.
#[must_use]
pub fn sibling<'k>(prefix: &str, keys: &'k [ObjectKey]) -> Option<&'k ObjectKey> {
    behind_folder(prefix)?;
    let rest = |key: &'k ObjectKey| key.as_str().strip_prefix(prefix);
    let has_folder = keys.iter().filter_map(rest).any(|rest| rest.starts_with('/'));
    let ends_in_a_word = prefix.ends_with(char::is_alphanumeric);
    let is_sibling = |key: &&'k ObjectKey| {
        rest(key).and_then(|rest| rest.chars().next()).is_some_and(|next| {
            let cuts_a_word = ends_in_a_word && next.is_alphanumeric();
            next != '/' && (has_folder || cuts_a_word)
        })
    };
    keys.iter().find(is_sibling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, keys: &[&str], expected: Option<&str>) {
        let keys: Vec<ObjectKey> = keys.iter().map(|key| ObjectKey::from_raw(*key).unwrap()).collect();
        assert_eq!(sibling(prefix, &keys).map(ObjectKey::as_str), expected, "{prefix}");
    }

    #[test]
    fn keys_outside_the_folder_are_found() {
        check("data", &["data/a", "database/b"], Some("database/b"));
        check("data", &["database/b"], Some("database/b"));
        check("data", &["data-2/a", "data/a"], Some("data-2/a"));
        check("data", &["data", "data/a"], None);
        check("data/", &["data/a"], None);
        check("", &["a", "b/c"], None);
        check("logs/2026-", &["logs/2026-11-01/a", "logs/2026-12-01/a"], None);
        check("日本", &["日本/a", "日本語/b"], Some("日本語/b"));
    }

    #[test]
    fn wildcards_are_found() {
        assert_eq!(wildcard_in("images/*.jpg"), Some('*'));
        assert_eq!(wildcard_in("a?"), Some('?'));
        assert_eq!(wildcard_in("images/a+b"), None);
    }

    #[test]
    fn end_of_a_folder_sorts_after_its_keys() {
        assert_eq!(behind_folder("data").as_deref(), Some("data/\u{10ffff}"));
        assert_eq!(behind_folder("data/"), None);
    }
}
