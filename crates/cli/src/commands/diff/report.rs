//! How differences are written.

use std::io;

use clap::ValueEnum;
use s3ferry_core::diff::{ComparedObject, DiffCounts, DifferenceKind, DifferentKey, SideName};
use s3ferry_core::failure::Failure;
use s3ferry_core::manifest::ManifestRow;
use serde::Serialize;
use serde_json::json;

use crate::difference_rows::{table_row, unread_lines};
use crate::exit::CliError;
use crate::failures::FailureCounts;
use crate::inventories::Inventories;
use crate::output::Output;
use crate::sides::BucketPair;
use crate::text::grouped;

/// How differences are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DiffFormat {
    /// Table with a summary
    Table,
    /// One JSON value per line, with a summary at the end
    Json,
    /// Key, differences, and size, ETag and storage class of both sides
    Csv,
    /// Manifest of the keys to copy
    Manifest,
}

/// The differences as they are written, one by one.
#[derive(Debug)]
pub(super) struct DifferenceWriter {
    format: DiffFormat,
    output: Output<io::Stdout>,
    source: String,
    destination: String,
    source_bucket: s3ferry_core::names::BucketName,
    written: u64,
    unread: FailureCounts,
}

/// The columns of the CSV form.
const COLUMNS: [&str; 8] = [
    "key",
    "differences",
    "source_size_bytes",
    "destination_size_bytes",
    "source_etag",
    "destination_etag",
    "source_storage_class",
    "destination_storage_class",
];

#[derive(Debug, Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    different: &'a DifferentKey,
}

impl DifferenceWriter {
    pub(super) fn begin(format: DiffFormat, sides: &BucketPair) -> Result<Self, CliError> {
        let mut output = Output::stdout();
        if format == DiffFormat::Csv {
            csv_row(&mut output, COLUMNS)?;
        }
        Ok(Self {
            format,
            output,
            source: sides.source.location.to_string(),
            destination: sides.destination.location.to_string(),
            source_bucket: sides.source.location.bucket.clone(),
            written: 0,
            unread: FailureCounts::default(),
        })
    }

    /// Writes a key that differs, or that was `unread`.
    pub(super) fn different(&mut self, different: &DifferentKey, unread: Option<&Failure>) -> Result<(), CliError> {
        if let Some(failure) = unread {
            self.unread.count(failure);
        }
        let first = self.written == 0;
        self.written += 1;
        match self.format {
            DiffFormat::Table => {
                if first {
                    self.output.line(format!(
                        "{:<24} {:>15} {:>15}  KEY",
                        "DIFFERENCE", "SOURCE", "DESTINATION"
                    ))?;
                }
                self.output.line(table_row(different, unread))
            }
            DiffFormat::Json => self.output.json(&Line {
                r#type: "difference",
                different,
            }),
            DiffFormat::Csv => csv_row(&mut self.output, &csv_fields(different)),
            DiffFormat::Manifest => {
                if !different.can_be_copied() {
                    return Ok(());
                }
                let row = ManifestRow::new(self.source_bucket.clone(), different.key.clone(), None);
                self.output.line(row.to_csv())
            }
        }
    }

    /// Writes the summary. A comparison that was stopped has one as JSON only: its counts are no result for people.
    pub(super) fn end(
        mut self,
        counts: &DiffCounts,
        inventories: &Inventories,
        stopped_by: Option<&CliError>,
    ) -> Result<(), CliError> {
        match self.format {
            DiffFormat::Table if stopped_by.is_some() => {}
            DiffFormat::Table => {
                if self.written > 0 {
                    self.output.line("")?;
                }
                let lines = summary(&self.source, &self.destination, counts);
                let lines = lines.into_iter().chain(unread_lines(&self.unread));
                for line in inventories.lines().into_iter().chain(lines) {
                    self.output.line(line)?;
                }
            }
            DiffFormat::Json => {
                let kinds: serde_json::Map<String, serde_json::Value> = counts
                    .by_kind()
                    .map(|(kind, count)| (kind.as_str().to_owned(), count.into()))
                    .collect();
                self.output.json(&json!({
                    "type": "summary",
                    "stopped_by": stopped_by.map(ToString::to_string),
                    "source": self.source,
                    "destination": self.destination,
                    "equal": stopped_by.is_none() && counts.different_keys == 0 && !counts.is_empty(),
                    "nothing_to_compare": stopped_by.is_none() && counts.is_empty(),
                    "source_keys": counts.source_keys,
                    "source_bytes": counts.source_bytes,
                    "destination_keys": counts.destination_keys,
                    "destination_bytes": counts.destination_bytes,
                    "different_keys": counts.different_keys,
                    "differences": kinds,
                    "other_storage_class": counts.other_storage_class,
                    "confirmed_equal": counts.confirmed_equal,
                    "unread": self.unread.json(),
                    "source_inventory": inventories.json(SideName::Source),
                    "destination_inventory": inventories.json(SideName::Destination),
                }))?;
            }
            DiffFormat::Csv | DiffFormat::Manifest => {}
        }
        self.output.flush()
    }
}

fn summary(source: &str, destination: &str, counts: &DiffCounts) -> Vec<String> {
    let side =
        |name: &str, keys: u64, bytes: u64| format!("{name}: {} objects, {} bytes", grouped(keys), grouped(bytes));
    let mut lines = vec![
        side(source, counts.source_keys, counts.source_bytes),
        side(destination, counts.destination_keys, counts.destination_bytes),
    ];
    if counts.is_empty() {
        lines.push("nothing to compare: neither side lists an object; check both buckets and the prefix".to_owned());
    } else if counts.different_keys == 0 {
        lines.push("equal".to_owned());
    } else {
        let kinds: Vec<String> = counts
            .by_kind()
            .map(|(kind, count)| format!("{} {kind}", grouped(count)))
            .collect();
        lines.push(format!(
            "{} keys differ: {}",
            grouped(counts.different_keys),
            kinds.join(", ")
        ));
    }
    if counts.by_kind().any(|(kind, _)| kind == DifferenceKind::Inconclusive) {
        lines.push("inconclusive objects are not verified: run `s3ferry verify`, or copy them again".to_owned());
    }
    let is_deep = counts.by_kind().any(|(kind, _)| kind == DifferenceKind::StorageClass);
    if counts.other_storage_class > 0 && !is_deep {
        lines.push(format!(
            "{} keys are in another storage class, which is a difference with --depth head only",
            grouped(counts.other_storage_class)
        ));
    }
    lines
}

fn csv_fields(different: &DifferentKey) -> [String; 8] {
    let kinds: Vec<&str> = different.differences.iter().map(|kind| kind.as_str()).collect();
    let field = |seen: &Option<ComparedObject>, field: fn(&ComparedObject) -> String| {
        seen.as_ref().map(field).unwrap_or_default()
    };
    let size: fn(&ComparedObject) -> String = |seen| seen.size_bytes.to_string();
    let etag: fn(&ComparedObject) -> String = |seen| seen.etag.clone().unwrap_or_default();
    let class: fn(&ComparedObject) -> String = |seen| seen.storage_class.clone();
    let (source, destination) = (&different.source, &different.destination);
    [
        different.key.to_string(),
        kinds.join("+"),
        field(source, size),
        field(destination, size),
        field(source, etag),
        field(destination, etag),
        field(source, class),
        field(destination, class),
    ]
}

fn csv_row<'a, W: io::Write>(
    output: &mut Output<W>,
    fields: impl IntoIterator<Item = &'a (impl AsRef<[u8]> + 'a + ?Sized)>,
) -> Result<(), CliError> {
    let mut row = csv::Writer::from_writer(Vec::new());
    row.write_record(fields)
        .map_err(|error| CliError::Bug(error.to_string()))?;
    let row = row.into_inner().map_err(|error| CliError::Bug(error.to_string()))?;
    output.bytes(&row)
}

#[cfg(test)]
mod tests {
    use s3ferry_core::names::ObjectKey;

    use super::*;

    fn different() -> DifferentKey {
        DifferentKey {
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
        }
    }

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        assert_eq!(COLUMNS.len(), csv_fields(&different()).len());
        let mut written = Vec::new();
        let mut output = Output::to(&mut written);
        csv_row(&mut output, &csv_fields(&different())).unwrap();
        output.flush().unwrap();
        drop(output);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "\"a,\"\"b\"\"\n\",metadata+tags,1234,,aa,,STANDARD,\n"
        );
    }

    #[test]
    fn json_line_says_what_it_is() {
        let different = different();
        let line = Line {
            r#type: "difference",
            different: &different,
        };
        let value = serde_json::to_value(&line).unwrap();
        assert_eq!(value["type"], "difference");
        assert_eq!(value["differences"], json!(["metadata", "tags"]));
        assert_eq!(value["source"]["size_bytes"], 1_234);
        assert!(value["destination"].is_null());
    }
}
