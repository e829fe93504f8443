//! S3 Inventory reports in place of listings.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{Args, ValueHint};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use indicatif::HumanDuration;
use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::file::FileStore;
use s3ferry_core::diff::SideName;
use s3ferry_core::failure::Failure;
use s3ferry_core::listing::ListedObject;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock as _;
use s3ferry_inventory::{
    Directory, Inventory, InventoryBucket, InventoryCounts, InventoryError, InventoryManifest, InventoryStatistics,
    ReadOptions,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bucket_side::BucketSide;
use crate::exit::CliError;
use crate::files::{FileLocation, file_store};
use crate::progress::{ProgressReporter, print_message};
use crate::rows::{BoxedRowSource, ahead};
use crate::text::grouped;

/// Rows per page, as in a listing.
const ROWS_A_PAGE: usize = 1_000;

/// How often the number of rows is shown while a report is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

const DEFAULT_SORT_MEMORY_MIB: u32 = 128;

/// The arguments of inventory reports, which are read instead of listings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Inventories")]
pub struct InventoryArgs {
    /// manifest.json of an S3 Inventory report of the source, instead of a listing: a file or an object
    #[arg(long, value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub source_inventory: Option<FileLocation>,
    /// manifest.json of an S3 Inventory report of the destination, instead of a listing
    #[arg(long, value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub destination_inventory: Option<FileLocation>,
    /// Memory in MiB for sorting one report, 64 to 65536; the process takes up to three times as much per report
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_SORT_MEMORY_MIB,
        value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub sort_memory_mib: u32,
    /// Folder for temporary files of the sort [default: the system's folder for temporary files]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub spill_dir: Option<PathBuf>,
}

impl InventoryArgs {
    /// Returns the manifests with their flags.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &Option<FileLocation>); 2] {
        [
            ("--source-inventory", &self.source_inventory),
            ("--destination-inventory", &self.destination_inventory),
        ]
    }
}

/// The reports that were given, opened; a side without one is listed.
///
/// Temporary files are deleted with the last clone, so keep one while rows are read. Tasks hold none: the command does not
/// wait for them when it ends.
#[derive(Debug, Clone, Default)]
pub struct Inventories {
    source: Option<Arc<Report>>,
    destination: Option<Arc<Report>>,
}

#[derive(Debug)]
struct Report {
    side: SideName,
    location: String,
    inventory: Inventory<Bucket>,
    options: ReadOptions,
    opened: Timestamp,
    tally: OnceLock<InventoryStatistics>,
    /// Holds the temporary files.
    _folder: Arc<TempDir>,
}

/// The bucket or folder of a report's files.
#[derive(Debug)]
enum Bucket {
    Store(FileStore),
    Folder(Directory),
}

impl InventoryBucket for Bucket {
    async fn fetch(&self, key: &ObjectKey, path: &Path) -> Result<(), Failure> {
        match self {
            Self::Store(store) => store.fetch(key, path).await,
            Self::Folder(directory) => directory.fetch(key, path).await,
        }
    }
}

impl Inventories {
    /// Opens the reports that the arguments name, and checks that they are of the compared buckets.
    pub async fn open(
        args: &InventoryArgs,
        clients: &Clients,
        source: &BucketSide,
        destination: Option<&BucketSide>,
    ) -> Result<Self, CliError> {
        let destination = match (&args.destination_inventory, destination) {
            (None, _) => None,
            (Some(location), Some(side)) => Some((location, side)),
            (Some(_), None) => {
                return Err(CliError::usage(
                    "--destination-inventory requires --destination",
                    "pass --destination and --destination-region, or omit --destination-inventory",
                ));
            }
        };
        if args.source_inventory.is_none() && destination.is_none() {
            return Ok(Self::default());
        }
        let folder = args.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("s3ferry-").tempdir_in(&folder);
        let opening = Opening {
            clients,
            folder: Arc::new(folder.map_err(CliError::file("make a folder for the inventory (--spill-dir)"))?),
            memory_bytes: (args.sort_memory_mib as usize) << 20,
        };
        let mut opened = Self::default();
        if let Some(location) = &args.source_inventory {
            opened.source = Some(opening.open(location, SideName::Source, source).await?);
        }
        if let Some((location, side)) = destination {
            opened.destination = Some(opening.open(location, SideName::Destination, side).await?);
        }
        Ok(opened)
    }

    /// Returns the rows of a side's report; `None` if the side is listed.
    #[must_use]
    pub fn rows(&self, side: SideName) -> Option<BoxedRowSource> {
        self.of(side).map(|report| rows(report))
    }

    /// Returns a line per report that was read.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let reports = [&self.source, &self.destination];
        reports.into_iter().flatten().map(|report| report.line()).collect()
    }

    /// Returns the counts of a side's report as JSON; `null` if the side was listed.
    #[must_use]
    pub fn json(&self, side: SideName) -> Value {
        self.of(side).map_or(Value::Null, |report| report.json())
    }

    fn of(&self, side: SideName) -> Option<&Arc<Report>> {
        match side {
            SideName::Source => self.source.as_ref(),
            SideName::Destination => self.destination.as_ref(),
        }
    }
}

struct Opening<'a> {
    clients: &'a Clients,
    folder: Arc<TempDir>,
    memory_bytes: usize,
}

impl Opening<'_> {
    async fn open(&self, location: &FileLocation, name: SideName, side: &BucketSide) -> Result<Arc<Report>, CliError> {
        let (bucket, key, location) = match location {
            FileLocation::Object(object) => {
                let clients = self.clients.expecting(side.owner.as_ref());
                let store = file_store(&clients, &object.bucket, &side.region).await?;
                let key = ObjectKey::from_raw(&object.prefix).map_err(|error| CliError::Bug(error.to_string()))?;
                (Bucket::Store(store), key, object.to_string())
            }
            FileLocation::File(path) => {
                let (directory, key) = directory_of(path).await?;
                (Bucket::Folder(directory), key, path.display().to_string())
            }
        };
        let options = ReadOptions {
            prefix: side.location.prefix.clone(),
            memory_bytes: self.memory_bytes,
            ..ReadOptions::new(self.folder.path())
        };
        let inventory = Inventory::open(Arc::new(bucket), key, &options).await;
        let inventory = inventory.map_err(|error| error.into_failure(&location))?;
        ensure_inventory_of(inventory.manifest(), side, name, &location)?;
        let report = Report {
            side: name,
            location,
            inventory,
            options,
            opened: SystemClock.now(),
            tally: OnceLock::new(),
            _folder: Arc::clone(&self.folder),
        };
        let manifest = report.inventory.manifest();
        print_message(&format!(
            "{} {}, {}: {} files, {} bytes",
            report.what(),
            report.location,
            report.age(),
            grouped(manifest.files.len() as u64),
            grouped(manifest.size_bytes())
        ));
        Ok(Arc::new(report))
    }
}

/// Finds the folder that stands for the bucket of a report, and the manifest's key in it.
async fn directory_of(path: &Path) -> Result<(Directory, ObjectKey), CliError> {
    let shown = path.display();
    let unusable = |detail: &dyn std::fmt::Display| {
        CliError::setup(
            format!("unusable inventory manifest {shown}: {detail}"),
            "pass the manifest.json of a report",
        )
    };
    let content = tokio::fs::read(path).await.map_err(|error| unusable(&error))?;
    let absolute = std::path::absolute(path).map_err(|error| unusable(&error))?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = ObjectKey::from_raw(name).map_err(|error| unusable(&error))?;
    let manifest = InventoryManifest::parse(&name, &content).map_err(|error| error.into_failure(&shown.to_string()))?;
    let first = manifest.files.first();
    let holds_files = |folder: &&Path| first.is_none_or(|file| folder.join(file.key.as_str()).is_file());
    let Some(folder) = absolute.ancestors().skip(1).find(holds_files) else {
        let key = first.map(|file| file.key.to_string()).unwrap_or_default();
        return Err(CliError::setup(
            format!("no folder above the inventory manifest {shown} holds the report's file `{key}`"),
            "keep the folder structure of the bucket: each file at the path of its key",
        ));
    };
    let key = absolute.strip_prefix(folder).ok().and_then(Path::to_str);
    let key = key.ok_or_else(|| unusable(&"its path is not UTF-8"))?;
    let key = ObjectKey::from_raw(key).map_err(|error| unusable(&error))?;
    Ok((Directory::new(folder), key))
}

fn ensure_inventory_of(
    manifest: &InventoryManifest,
    side: &BucketSide,
    name: SideName,
    location: &str,
) -> Result<(), CliError> {
    let (found, expected) = (&manifest.source_bucket, &side.location.bucket);
    if found == expected {
        return Ok(());
    }
    let flag = match name {
        SideName::Source => "--source-inventory",
        SideName::Destination => "--destination-inventory",
    };
    Err(CliError::usage(
        format!("`{flag} {location}` is an inventory of bucket {found}, not of {expected}"),
        format!("pass a report of bucket {expected}, or omit {flag}"),
    ))
}

fn rows(report: &Report) -> BoxedRowSource {
    let failure = {
        let location = report.location.clone();
        move |error: InventoryError| error.into_failure(&location)
    };
    let sorted = match report.inventory.sorted_rows(&report.options) {
        Ok(sorted) => sorted,
        Err(error) => return Box::pin(stream::iter([Err(failure(error))])),
    };
    let tally = sorted.tally();
    // A second reading would be counted apart; there is none.
    let _first = report.tally.set(tally.clone());
    let pages = sorted.map_ok(ListedObject::from).try_chunks(ROWS_A_PAGE);
    let pages = pages.map_err(move |error| failure(error.1));
    Box::pin(ahead(with_progress(pages, report.reading(), tally)))
}

/// Shows how many rows were read until the first page comes, which is when all of them were.
fn with_progress<T: Send + 'static>(
    pages: impl Stream<Item = T> + Send + 'static,
    label: &'static str,
    tally: InventoryStatistics,
) -> impl Stream<Item = T> + Send + 'static {
    let progress = ProgressReporter::start(label, "rows", None);
    stream::unfold((Box::pin(pages), Some(progress)), move |(mut pages, progress)| {
        let tally = tally.clone();
        async move {
            let Some(progress) = progress else {
                return Some((pages.next().await?, (pages, None)));
            };
            let mut ticks = tokio::time::interval(POLL_INTERVAL);
            let page = loop {
                tokio::select! {
                    page = pages.next() => break page,
                    _ = ticks.tick() => progress.set(tally.counts().read, None),
                }
            };
            progress.finish();
            Some((page?, (pages, None)))
        }
    })
}

impl Report {
    fn what(&self) -> &'static str {
        match self.side {
            SideName::Source => "source keys from inventory",
            SideName::Destination => "destination keys from inventory",
        }
    }

    fn reading(&self) -> &'static str {
        match self.side {
            SideName::Source => "reading the source's inventory",
            SideName::Destination => "reading the destination's inventory",
        }
    }

    fn created(&self) -> Option<Timestamp> {
        self.inventory.manifest().created
    }

    fn counts(&self) -> InventoryCounts {
        self.tally.get().map(InventoryStatistics::counts).unwrap_or_default()
    }

    fn age(&self) -> String {
        match self.created() {
            Some(created) => format!(
                "made {}, {} ago",
                created.to_rfc3339(),
                HumanDuration(self.opened.since(created))
            ),
            None => "without a creation time".to_owned(),
        }
    }

    fn line(&self) -> String {
        let InventoryCounts {
            read,
            left_out,
            superseded,
            unknown_columns,
        } = self.counts();
        let mut parts = vec![format!("{} rows", grouped(read))];
        if left_out > 0 {
            parts.push(format!("{} of other versions or prefixes skipped", grouped(left_out)));
        }
        if superseded > 0 {
            parts.push(format!("{} overwritten while S3 wrote the report", grouped(superseded)));
        }
        parts.extend(
            unknown_columns
                .iter()
                .map(|name| format!("unknown column {name} not read")),
        );
        format!(
            "{} {}, {}: {}",
            self.what(),
            self.location,
            self.age(),
            parts.join(", ")
        )
    }

    fn json(&self) -> Value {
        let counts = self.counts();
        json!({
            "manifest": self.location,
            "created": self.created().map(Timestamp::to_rfc3339),
            "age_seconds": self.created().map(|created| self.opened.since(created).as_secs()),
            "rows": counts.read,
            "left_out": counts.left_out,
            "superseded": counts.superseded,
            "unknown_columns": counts.unknown_columns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_memory_is_that_of_the_reader() {
        let bytes = (DEFAULT_SORT_MEMORY_MIB as usize) << 20;
        assert_eq!(bytes, ReadOptions::new("").memory_bytes);
        assert_eq!(ReadOptions::LEAST_MEMORY_BYTES, 64 << 20);
    }
}
