//! The results of a verification: its output and its files.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use s3ferry_core::diff::DifferentKey;
use s3ferry_core::manifest::ManifestRow;
use s3ferry_core::names::BucketName;
use s3ferry_core::verify::{
    DifferenceExamples, KeyVerification, ReportHeader, VerificationEnd, VerificationReport, VerificationTotals,
    VerificationVerdict,
};
use s3ferry_engine::verify::VerificationProgress as Step;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::args::VerifyArgs;
use super::page;
use crate::denials::DenialCounter;
use crate::difference_rows::{table_row, unread_lines};
use crate::exit::CliError;
use crate::failures::FailureCounts;
use crate::files::{FileLocation, ensure_distinct, folder_of, prepare_output};
use crate::manifest_location::{ManifestLocation, prepare_output_with_suffixes, with_suffix};
use crate::output::{Format, Output};
use crate::sides::BucketPair;
use crate::text::grouped;

/// The number of keys that the report and the table show.
const EXAMPLES: usize = 200;

/// The results of a verification so far.
#[derive(Debug)]
pub(super) struct VerifyResults {
    format: Format,
    stdout: Output<std::io::Stdout>,
    differences: Option<Output<File>>,
    report: Option<PathBuf>,
    manifests: Option<Manifests>,
    tally: VerificationTotals,
    examples: DifferenceExamples,
    denials: DenialCounter,
    unread: FailureCounts,
}

/// One key that is not equal, as a line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    key: &'a DifferentKey,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    report: &'a VerificationReport,
}

/// The manifests of inconclusive objects, one per side.
#[derive(Debug)]
struct Manifests {
    location: ManifestLocation,
    sides: [(&'static str, BucketName, BufWriter<NamedTempFile>); 2],
}

impl Manifests {
    async fn begin(args: &VerifyArgs, sides: &BucketPair) -> Result<Option<Self>, CliError> {
        let Some(target) = &args.inconclusive_manifest else {
            return Ok(None);
        };
        let clients = sides.clients.expecting(sides.source.owner.as_ref());
        let location = ManifestLocation::open(target, &clients, &sides.source.region).await?;
        let source = BufWriter::new(location.begin()?);
        let destination = BufWriter::new(location.begin()?);
        Ok(Some(Self {
            location,
            sides: [
                ("-source", sides.source.location.bucket.clone(), source),
                ("-destination", sides.destination.location.bucket.clone(), destination),
            ],
        }))
    }

    fn write(&mut self, key: &DifferentKey) -> Result<(), CliError> {
        for (_, bucket, file) in &mut self.sides {
            let row = ManifestRow::new(bucket.clone(), key.key.clone(), None);
            writeln!(file, "{}", row.to_csv()).map_err(CliError::file("write to a temporary file"))?;
        }
        Ok(())
    }

    async fn end(self) -> Result<Vec<String>, CliError> {
        let mut locations = Vec::new();
        for (suffix, _, file) in self.sides {
            let file = file.into_inner();
            let file = file.map_err(|error| CliError::file("write to a temporary file")(error.into_error()))?;
            let (location, _) = self.location.finish(file, suffix, "csv").await?;
            locations.push(location);
        }
        Ok(locations)
    }
}

/// Returns the local files that a verification reads and writes, with what names them.
fn local_files(args: &VerifyArgs) -> Vec<(&'static str, PathBuf)> {
    let inputs = [
        ("--source-checksums", &args.source_checksums),
        ("--destination-checksums", &args.destination_checksums),
    ];
    let inputs = inputs
        .into_iter()
        .filter_map(|(flag, file)| Some((flag, file.as_ref()?.path()?.to_owned())));
    let report = args.report.iter().filter(|report| report.file_name().is_some());
    let report =
        report.flat_map(|report| ["json", "html"].map(|extension| ("--report", with_extension(report, extension))));
    let manifest = args.inconclusive_manifest.as_ref().and_then(FileLocation::path);
    let manifests = manifest.into_iter().flat_map(|path| {
        ["-source", "-destination"].map(|suffix| ("--inconclusive-manifest", with_suffix(path, suffix)))
    });
    let differences = args.differences.iter().map(|path| ("--differences", path.clone()));
    inputs.chain(report).chain(manifests).chain(differences).collect()
}

/// Removes the files of an earlier run, so that they are not mistaken for those of a run that fails early.
pub(super) fn prepare_output_files(args: &VerifyArgs) -> Result<(), CliError> {
    ensure_distinct(local_files(args))?;
    if let Some(report) = &args.report {
        if report.file_name().is_none() {
            return Err(CliError::setup(
                format!("invalid path of the report: {}", report.display()),
                "pass a path in an existing folder, such as --report verification",
            ));
        }
        for extension in ["json", "html"] {
            prepare_output(&with_extension(report, extension))?;
        }
    }
    if let Some(target) = &args.inconclusive_manifest {
        prepare_output_with_suffixes(target, &["-source", "-destination"])?;
    }
    match &args.differences {
        Some(path) => prepare_output(path),
        None => Ok(()),
    }
}

impl VerifyResults {
    /// Opens all files before anything is compared.
    pub(super) async fn begin(format: Format, args: &VerifyArgs, sides: &BucketPair) -> Result<Self, CliError> {
        let differences = match &args.differences {
            Some(path) => {
                let file = File::create(path);
                let file = file.map_err(CliError::file(format!(
                    "create the file of differences {}",
                    path.display()
                )))?;
                Some(Output::to(file))
            }
            None => None,
        };
        Ok(Self {
            format,
            stdout: Output::stdout(),
            differences,
            report: args.report.clone(),
            manifests: Manifests::begin(args, sides).await?,
            tally: VerificationTotals::default(),
            examples: DifferenceExamples::default(),
            denials: DenialCounter::default(),
            unread: FailureCounts::default(),
        })
    }

    /// Returns the totals so far.
    pub(super) fn tally(&self) -> &VerificationTotals {
        &self.tally
    }

    /// Returns the counts for the progress display.
    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        let tally = &self.tally;
        [
            ("differ", tally.different),
            ("ahead", tally.ahead),
            ("inconclusive", tally.inconclusive),
        ]
    }

    /// Adds the results of further keys.
    pub(super) fn take(&mut self, step: &Step) -> Result<(), CliError> {
        self.tally.add(&step.tally);
        let unread = match &step.not_equal {
            Some(KeyVerification::Unread { failure, .. }) => Some(failure),
            _ => None,
        };
        if step.tally.accounted() > step.tally.not_examined + u64::from(unread.is_some()) {
            self.denials.record(None).map_err(CliError::Failed)?;
        }
        let Some(verified_keys) = &step.not_equal else {
            return Ok(());
        };
        let Some(key) = verified_keys.key() else { return Ok(()) };
        if let Some(failure) = unread {
            self.unread.count(failure);
        }
        let line = Line {
            r#type: "difference",
            key,
        };
        match self.format {
            Format::Human if self.examples.shown.len() < EXAMPLES => self.stdout.line(table_row(key, unread))?,
            Format::Human => {}
            Format::Json => self.stdout.json(&line)?,
        }
        self.examples.take(key, EXAMPLES);
        if let Some(differences) = &mut self.differences {
            differences.json(&line)?;
        }
        if let (
            KeyVerification::Inconclusive {
                checksums_would_help: true,
                ..
            },
            Some(manifests),
        ) = (verified_keys, &mut self.manifests)
        {
            manifests.write(key)?;
        }
        match unread {
            Some(failure) => self.denials.record(Some(failure)).map_err(CliError::Failed),
            None => Ok(()),
        }
    }

    /// Ends the command if every read was denied.
    pub(super) fn ensure_not_all_denied(&self) -> Result<(), CliError> {
        self.denials.ensure_not_all_denied().map_err(CliError::Failed)
    }

    /// Writes the files and the summary.
    pub(super) async fn end(
        mut self,
        mut header: ReportHeader,
        ending: VerificationEnd,
        is_sample: bool,
    ) -> Result<VerificationVerdict, CliError> {
        if let Some(manifests) = self.manifests.take() {
            header.inconclusive_manifests = manifests.end().await?;
        }
        if let Some(differences) = &mut self.differences {
            differences.flush()?;
        }
        let verdict = self.tally.verdict(ending, is_sample);
        let report = VerificationReport::new(header, &self.tally, verdict, self.examples);
        let mut written = Vec::new();
        if let Some(path) = &self.report {
            let json = serde_json::to_vec_pretty(&report);
            let json = json.map_err(|error| CliError::Bug(format!("unwritable JSON: {error}")))?;
            written.push(write(path, "json", &json)?);
            written.push(write(path, "html", page::render(&report)?.as_bytes())?);
        }
        match self.format {
            Format::Human => {
                for line in lines(&report, &unread_lines(&self.unread), &written) {
                    self.stdout.line(line)?;
                }
            }
            Format::Json => self.stdout.json(&Summary {
                r#type: "summary",
                report: &report,
            })?,
        }
        self.stdout.flush()?;
        Ok(verdict)
    }
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// Writes a file, which is renamed to its name once it is complete.
fn write(path: &Path, extension: &str, bytes: &[u8]) -> Result<PathBuf, CliError> {
    let path = with_extension(path, extension);
    let unwritable = || CliError::file(format!("write the report {}", path.display()));
    let mut file = NamedTempFile::new_in(folder_of(&path)).map_err(unwritable())?;
    file.write_all(bytes).map_err(unwritable())?;
    file.persist(&path).map_err(|error| unwritable()(error.error))?;
    Ok(path)
}

fn lines(report: &VerificationReport, unread: &[String], written: &[PathBuf]) -> Vec<String> {
    let mut lines = Vec::new();
    if report.examples.left_out > 0 {
        lines.push(format!(
            "... and {} more: --differences names them all",
            grouped(report.examples.left_out)
        ));
    }
    if !report.examples.shown.is_empty() {
        lines.push(String::new());
    }
    let is_whole = report.verdict != VerificationVerdict::Incomplete;
    if !is_whole {
        lines.push(format!(
            "stopped after {} keys: the counts cover the keys compared so far; there is no verdict",
            grouped(report.keys)
        ));
    }
    for side in [&report.header.sides.source, &report.header.sides.destination] {
        lines.push(format!(
            "s3://{}/{}: {} objects, {} bytes{}",
            side.bucket,
            side.prefix,
            grouped(side.amount.objects),
            grouped(side.amount.bytes),
            if is_whole { "" } else { " compared so far" }
        ));
    }
    let row = |count: u64, what: &str| format!("  {:>12}  {what}", grouped(count));
    let compared = report.compared_by.iter();
    lines.extend(compared.map(|by| row(by.amount.objects, &format!("equal: {}", by.meaning))));
    lines.extend(
        report
            .differences
            .iter()
            .map(|difference| row(difference.keys, difference.kind)),
    );
    let counts = [
        (report.unread, "could not be read, counted as inconclusive"),
        (report.gone, "gone on both sides since they were listed"),
        (report.not_examined, "not drawn for the sample"),
        (
            report.changed,
            "changed while they were compared, and were compared again",
        ),
        (report.read_bytes, "bytes read of both sides"),
    ];
    lines.extend(
        counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| row(*count, what)),
    );
    lines.extend(unread.iter().cloned());
    lines.extend(
        report
            .header
            .inconclusive_manifests
            .iter()
            .map(|location| format!("manifest: {location}")),
    );
    lines.extend(written.iter().map(|path| format!("report: {}", path.display())));
    lines.push(format!("{}: {}", report.verdict.as_str(), report.statement));
    lines
}
