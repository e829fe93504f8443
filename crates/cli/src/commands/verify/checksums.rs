//! Completion reports of jobs that computed checksums, as files of this machine or as objects.

use std::fs::File;
use std::path::{Path, PathBuf};

use s3ferry_aws::client::Clients;
use s3ferry_core::batch_report::{CompletionReportError, CompletionReportFile, CompletionReportManifest};
use s3ferry_core::names::BucketName;
use s3ferry_core::verify::completion::{ComputedChecksums, computed};

use crate::bucket_side::BucketSide;
use crate::exit::CliError;
use crate::files::{FileLocation, fetch, file_store};
use crate::report_files::checked_rows;

/// The next step after an unusable report.
const NEXT: &str = "name the manifest.json of the completion report of a Compute checksum job on this side's bucket";

/// Reads the report of a job on the objects of `side`, if there is one. All of it is held in memory, about 300 bytes a row.
pub(super) async fn load(
    at: Option<&FileLocation>,
    clients: &Clients,
    side: &BucketSide,
) -> Result<ComputedChecksums, CliError> {
    let mut checksums = ComputedChecksums::default();
    let Some(at) = at else { return Ok(checksums) };
    let bucket = &side.location.bucket;
    match at {
        FileLocation::File(path) => {
            let head = parse(
                at,
                &std::fs::read(path).map_err(CliError::unreadable(format!("read {at}")))?,
            )?;
            for file in &head.results {
                let path = beside(path, &file.key)?;
                let name = path.display().to_string();
                let opened = File::open(&path).map_err(CliError::unreadable(format!("read {name}")))?;
                take(opened, &name, file, bucket, &mut checksums)?;
            }
        }
        FileLocation::Object(location) => {
            let clients = &clients.expecting(side.owner.as_ref());
            let store = file_store(clients, &location.bucket, &side.region).await?;
            let fetched = fetch(&store, &location.prefix).await?;
            let text = std::fs::read(fetched.path()).map_err(CliError::file(format!("read {at}")))?;
            let head = parse(at, &text)?;
            for file in &head.results {
                let name = format!("s3://{}/{}", file.bucket, file.key);
                let named = BucketName::new(file.bucket.as_str());
                let named = named.map_err(|error| CliError::setup(format!("{at}: {error}"), NEXT))?;
                let store = if named == location.bucket {
                    store.clone()
                } else {
                    file_store(clients, &named, &side.region).await?
                };
                let fetched = fetch(&store, &file.key).await?.into_file();
                take(fetched, &name, file, bucket, &mut checksums)?;
            }
        }
    }
    Ok(checksums)
}

fn parse(at: &FileLocation, text: &[u8]) -> Result<CompletionReportManifest, CliError> {
    CompletionReportManifest::parse(&at.to_string(), text).map_err(wrong)
}

/// Finds a file of a report on this machine: S3 keeps it in the folder `results` beside the manifest.
fn beside(manifest: &Path, key: &str) -> Result<PathBuf, CliError> {
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let name = key.rsplit('/').next().unwrap_or(key);
    let paths = [folder.join("results").join(name), folder.join(name)];
    let found = paths.iter().find(|path| !name.is_empty() && path.is_file());
    found.cloned().ok_or_else(|| {
        CliError::setup(
            format!(
                "{} names the file {key}, which is neither beside it nor in results/",
                manifest.display()
            ),
            "copy all files of the report, or name it as s3://...",
        )
    })
}

/// Reads all rows of a file, which must match the checksum that the report names.
fn take(
    file: File,
    name: &str,
    named: &CompletionReportFile,
    bucket: &BucketName,
    checksums: &mut ComputedChecksums,
) -> Result<(), CliError> {
    for row in checked_rows(file, name, named, wrong)? {
        let row = row.map_err(wrong)?;
        let read = computed(&row, bucket).map_err(|problem| {
            wrong(CompletionReportError::Row {
                file: row.file.clone(),
                row: row.row,
                problem: problem.to_string(),
            })
        })?;
        checksums.take(read);
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "signature of `map_err`")]
fn wrong(error: CompletionReportError) -> CliError {
    CliError::setup(error.to_string(), NEXT)
}
