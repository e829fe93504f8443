//! The numbered files of a manifest, per class.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write as _};

use s3ferry_core::diff::SideName;
use s3ferry_core::manifest::ManifestRow;
use s3ferry_core::names::ETag;
use s3ferry_core::object_class::ObjectClass;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::inventories::Inventories;
use crate::manifest_location::ManifestLocation;
use crate::output::{Format, Output};
use crate::text::grouped;

/// The number of files of an earlier run that the error names.
const LEFT_SHOWN: usize = 10;

/// One object, sorted.
#[derive(Debug)]
pub(super) struct ClassifiedObject {
    pub(super) row: ManifestRow,
    pub(super) class: ObjectClass,
    pub(super) reason: String,
    /// Whether it could not be read, so that its class and version are unknown.
    pub(super) is_unread: bool,
}

/// All files.
#[derive(Debug)]
pub(super) struct ManifestFiles {
    location: ManifestLocation,
    /// The files with this name of earlier runs.
    earlier: BTreeSet<String>,
    rows_per_file: u64,
    by_class: bool,
    open: BTreeMap<ObjectClass, OpenFile>,
    written: Vec<WrittenFile>,
    /// Objects that could not be read.
    pub(super) unread: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: BufWriter<NamedTempFile>,
    rows: u64,
    number: u64,
}

/// A complete file.
#[derive(Debug)]
struct WrittenFile {
    class: ObjectClass,
    location: String,
    rows: u64,
    etag: Option<ETag>,
}

impl ManifestFiles {
    pub(super) async fn begin(
        location: ManifestLocation,
        rows_per_file: u64,
        by_class: bool,
    ) -> Result<Self, CliError> {
        Ok(Self {
            earlier: location.numbered().await?,
            location,
            rows_per_file,
            by_class,
            open: BTreeMap::new(),
            written: Vec::new(),
            unread: 0,
        })
    }

    /// Writes an object's row to the file of its class.
    pub(super) async fn write(&mut self, sorted: &ClassifiedObject) -> Result<(), CliError> {
        self.unread += u64::from(sorted.is_unread);
        // The row of an unread object would lack its version.
        let class = if self.by_class || sorted.is_unread {
            sorted.class
        } else {
            ObjectClass::Plain
        };
        let line = match class {
            ObjectClass::NotCopyable => {
                json!({ "bucket": sorted.row.bucket, "key": sorted.row.key, "reason": sorted.reason }).to_string()
            }
            ObjectClass::Plain | ObjectClass::LargeOrRich | ObjectClass::Archived => sorted.row.to_csv(),
        };
        if self
            .open
            .get(&class)
            .is_some_and(|open| open.rows >= self.rows_per_file)
        {
            self.finish(class).await?;
        }
        let open = match self.open.entry(class) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let before = self.written.iter().filter(|written| written.class == class).count();
                vacant.insert(OpenFile {
                    file: BufWriter::new(self.location.begin()?),
                    rows: 0,
                    number: u64::try_from(before).unwrap_or_default() + 1,
                })
            }
        };
        open.rows += 1;
        writeln!(open.file, "{line}").map_err(CliError::file("write to a temporary file"))
    }

    async fn finish(&mut self, class: ObjectClass) -> Result<(), CliError> {
        let Some(open) = self.open.remove(&class) else {
            return Ok(());
        };
        let file = open.file.into_inner();
        let file = file.map_err(|error| CliError::file("write to a temporary file")(error.into_error()))?;
        let name = if self.by_class || class == ObjectClass::NotCopyable {
            format!("-{}", class.as_str())
        } else {
            String::new()
        };
        let extension = if class == ObjectClass::NotCopyable {
            "jsonl"
        } else {
            "csv"
        };
        let suffix = format!("{name}-{:04}", open.number);
        let (location, etag) = self.location.finish(file, &suffix, extension).await?;
        self.written.push(WrittenFile {
            class,
            location,
            rows: open.rows,
            etag,
        });
        Ok(())
    }

    /// Ends a run that failed: what it wrote on this machine is removed. Objects stay, and are named, as are those of an
    /// earlier run.
    pub(super) fn abandon(self, format: Format, stopped_by: &CliError, rows: u64) -> Result<Option<String>, CliError> {
        if format == Format::Json {
            let mut output = Output::stdout();
            output.json(&json!({
                "type": "summary",
                "stopped_by": stopped_by.to_string(),
                "files": 0,
                "rows": rows,
                "unread": self.unread,
            }))?;
            output.flush()?;
        }
        let written = self.written.into_iter().map(|written| written.location);
        Ok(match &self.location {
            ManifestLocation::Folder { .. } => {
                let left: BTreeSet<String> = written.filter(|path| std::fs::remove_file(path).is_err()).collect();
                named("manifest incomplete: its files were not removed", &left)
            }
            ManifestLocation::Bucket { .. } => {
                let left: BTreeSet<String> = self.earlier.into_iter().chain(written).collect();
                named(
                    "manifest incomplete: do not use these objects of this or an earlier run",
                    &left,
                )
            }
        })
    }

    /// Finishes all files, and prints their locations.
    pub(super) async fn end(mut self, format: Format, inventories: &Inventories) -> Result<(), CliError> {
        for class in ObjectClass::ALL {
            self.finish(class).await?;
        }
        let mut output = Output::stdout();
        for written in &self.written {
            match format {
                Format::Human => output.line(format!("{:>12} rows  {}", grouped(written.rows), written.location))?,
                Format::Json => output.json(&json!({
                    "type": "manifest",
                    "class": (self.by_class || written.class == ObjectClass::NotCopyable).then_some(written.class),
                    "location": written.location,
                    "rows": written.rows,
                    "etag": written.etag,
                }))?,
            }
        }
        let rows: u64 = self.written.iter().map(|written| written.rows).sum();
        match format {
            Format::Human => {
                for line in inventories.lines() {
                    output.line(line)?;
                }
                if rows == 0 {
                    output.line("nothing to write: no object has to be copied")?;
                }
            }
            Format::Json => output.json(&json!({
                "type": "summary",
                "stopped_by": null,
                "files": self.written.len(),
                "rows": rows,
                "unread": self.unread,
                "source_inventory": inventories.json(SideName::Source),
                "destination_inventory": inventories.json(SideName::Destination),
            }))?,
        }
        output.flush()?;
        self.ensure_no_leftover_files()
    }

    /// Returns an error if files of an earlier run remain, which would be mistaken for files of this one.
    fn ensure_no_leftover_files(self) -> Result<(), CliError> {
        let mut left = self.earlier;
        for written in &self.written {
            left.remove(&written.location);
        }
        if left.is_empty() {
            return Ok(());
        }
        let what = "manifest written, but files of an earlier run with the same name remain";
        Err(CliError::setup(
            named(what, &left).unwrap_or_default(),
            "delete them before you use the manifest, or pass another name with --to",
        ))
    }
}

/// Names files after a sentence about them, if there are any.
fn named(what: &str, files: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = files.iter().take(LEFT_SHOWN).map(String::as_str).collect();
    let more = files.len() - names.len();
    let more = if more > 0 {
        format!(" and {} more", grouped(u64::try_from(more).unwrap_or(u64::MAX)))
    } else {
        String::new()
    };
    (!files.is_empty()).then(|| format!("{what}: {}{more}", names.join(", ")))
}
