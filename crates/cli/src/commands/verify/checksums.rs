//! Completion reports of jobs that computed checksums, as files of this machine or as objects.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use md5::{Digest as _, Md5};
use s3ferry_aws::client::Clients;
use s3ferry_aws::file::FileStore;
use s3ferry_aws::preflight::region_of;
use s3ferry_core::names::{BucketName, ObjectKey, Region};
use s3ferry_core::verify::completion::{self, Checksums, Head, Problem, ReportError};
use tempfile::NamedTempFile;

use crate::exit::Error;
use crate::location::Location;
use crate::sides::Side;

/// What to do about a report that cannot be used.
const NEXT: &str = "name the manifest.json of the completion report of a Compute checksum job on this side's bucket";

/// Where the `manifest.json` of a completion report is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReportAt {
    /// A file; the files that it names lie beside it, or in a folder `results` beside it.
    File(PathBuf),
    /// An object.
    Object(Location),
}

impl FromStr for ReportAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("s3://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let location: Location = text.parse().map_err(|error| format!("{error}"))?;
        if location.prefix.is_empty() || location.prefix.ends_with('/') {
            return Err("must name an object, as in s3://my-bucket/reports/job-1/manifest.json".to_owned());
        }
        Ok(Self::Object(location))
    }
}

impl fmt::Display for ReportAt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Object(location) => write!(formatter, "{location}"),
        }
    }
}

/// Reads the report of a job on the objects of `side`, if there is one. All of it is held in memory, about 300 bytes a row.
pub(super) async fn load(at: Option<&ReportAt>, clients: &Clients, side: &Side) -> Result<Checksums, Error> {
    let mut checksums = Checksums::default();
    let Some(at) = at else { return Ok(checksums) };
    let bucket = &side.location.bucket;
    match at {
        ReportAt::File(path) => {
            let head = parse(at, &std::fs::read(path).map_err(Error::file(format!("read {at}")))?)?;
            for file in &head.results {
                let path = beside(path, &file.key)?;
                let name = path.display().to_string();
                let opened = File::open(&path).map_err(Error::file(format!("read {name}")))?;
                take(opened, &name, file, bucket, &mut checksums)?;
            }
        }
        ReportAt::Object(location) => {
            let store = open(clients, &location.bucket, &side.region).await?;
            let mut text = Vec::new();
            let read = fetch(&store, &location.prefix).await?.read_to_end(&mut text);
            read.map_err(Error::file("read a temporary file"))?;
            let head = parse(at, &text)?;
            for file in &head.results {
                let name = format!("s3://{}/{}", file.bucket, file.key);
                let named = BucketName::new(file.bucket.as_str());
                let named = named.map_err(|error| Error::setup(format!("{at}: {error}"), NEXT))?;
                let store = if named == location.bucket {
                    store.clone()
                } else {
                    open(clients, &named, &side.region).await?
                };
                take(fetch(&store, &file.key).await?, &name, file, bucket, &mut checksums)?;
            }
        }
    }
    Ok(checksums)
}

fn parse(at: &ReportAt, text: &[u8]) -> Result<Head, Error> {
    Head::parse(text).map_err(|error| Error::setup(format!("{at} {error}"), NEXT))
}

/// Finds a file of a report on this machine: S3 keeps it in the folder `results` beside the manifest.
fn beside(manifest: &Path, key: &str) -> Result<PathBuf, Error> {
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let name = key.rsplit('/').next().unwrap_or(key);
    let places = [folder.join("results").join(name), folder.join(name)];
    let found = places.iter().find(|place| !name.is_empty() && place.is_file());
    found.cloned().ok_or_else(|| {
        Error::setup(
            format!(
                "{} names the file {key}, which is neither beside it nor in results/",
                manifest.display()
            ),
            "copy all files of the report, or name it as s3://...",
        )
    })
}

async fn open(clients: &Clients, bucket: &BucketName, guess: &Region) -> Result<FileStore, Error> {
    let found = region_of(&clients.s3_for_reading(guess), bucket, guess, None).await?;
    let region = match found {
        Some(found) => crate::args::region(&found).map_err(Error::Bug)?,
        None => guess.clone(),
    };
    Ok(FileStore::new(clients, bucket.clone(), region))
}

/// Reads an object into a temporary file, which is gone with its handle.
async fn fetch(store: &FileStore, key: &str) -> Result<File, Error> {
    let object = ObjectKey::from_raw(key).map_err(|error| Error::setup(error.to_string(), NEXT))?;
    let file = NamedTempFile::new().map_err(Error::file("create a temporary file"))?;
    store.fetch(&object, file.path()).await?;
    file.reopen().map_err(Error::file("read a temporary file"))
}

/// Takes all rows of a file, which must be the one that the report names.
fn take(
    mut file: File,
    name: &str,
    named: &completion::File,
    bucket: &BucketName,
    checksums: &mut Checksums,
) -> Result<(), Error> {
    let unreadable = || Error::file(format!("read {name}"));
    let mut hash = Md5::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(unreadable())?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
    }
    let found = format!("{:032x}", u128::from_be_bytes(hash.finalize().into()));
    if !found.eq_ignore_ascii_case(&named.md5_checksum) {
        return Err(Error::setup(
            format!(
                "{name} has the MD5 {found}, and its report names {}",
                named.md5_checksum
            ),
            "get the file anew: it is not the one that the job wrote",
        ));
    }
    file.rewind().map_err(unreadable())?;
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(BufReader::new(file));
    let mut record = csv::StringRecord::new();
    let mut row = 0;
    loop {
        row += 1;
        let wrong = |problem: Problem| {
            let error = ReportError {
                file: name.to_owned(),
                row,
                problem,
            };
            Error::setup(error.to_string(), NEXT)
        };
        let more = rows.read_record(&mut record);
        if !more.map_err(|error| wrong(Problem::Csv(error.to_string())))? {
            return Ok(());
        }
        let fields: Vec<&str> = record.iter().collect();
        checksums.take(completion::row(&fields, bucket).map_err(wrong)?);
    }
}
