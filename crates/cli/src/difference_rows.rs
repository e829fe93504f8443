//! Differences as rows of a table, for the commands that print them.

use s3ferry_core::diff::{ComparedObject, DifferentKey};
use s3ferry_core::failure::Failure;

use crate::failures::FailureCounts;
use crate::text::{escaped_key, grouped};

/// Returns the reasons why objects could not be read, each once.
pub(crate) fn unread_lines(unread: &FailureCounts) -> Vec<String> {
    let mut lines = unread.lines();
    if !lines.is_empty() {
        lines.insert(0, "could not be read:".to_owned());
    }
    lines
}

/// Formats the row of a key. The reason of an unreadable object follows once, after all rows.
pub(crate) fn table_row(different: &DifferentKey, unread: Option<&Failure>) -> String {
    let kinds: Vec<&str> = different.differences.iter().map(|kind| kind.as_str()).collect();
    let size = |seen: &Option<ComparedObject>| {
        seen.as_ref()
            .map_or_else(|| "-".to_owned(), |seen| grouped(seen.size_bytes))
    };
    let reason = unread
        .map(|failure| failure.code.as_str())
        .or(different.reason.as_deref());
    let reason = reason.map(|reason| format!("  ({reason})")).unwrap_or_default();
    format!(
        "{:<24} {:>15} {:>15}  {}{reason}",
        kinds.join("+"),
        size(&different.source),
        size(&different.destination),
        escaped_key(different.key.as_str())
    )
}

#[cfg(test)]
mod tests {
    use s3ferry_core::diff::DifferenceKind;
    use s3ferry_core::names::ObjectKey;

    use super::*;

    #[test]
    fn table_row_stays_on_one_line() {
        let different = DifferentKey {
            key: ObjectKey::from_raw("a,\"b\"\n").unwrap(),
            differences: vec![DifferenceKind::Metadata, DifferenceKind::Tags],
            source: Some(ComparedObject {
                size_bytes: 1_234,
                etag: Some("aa".into()),
                last_modified: "2026-11-23T00:00:00Z".into(),
                storage_class: "STANDARD".into(),
                version_id: None,
            }),
            destination: None,
            reason: None,
        };
        let row = table_row(&different, None);
        assert!(!row.contains('\n'), "{row}");
        assert!(row.starts_with("metadata+tags"), "{row}");
        assert!(row.contains("1,234"), "{row}");
    }
}
