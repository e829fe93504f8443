//! What came of a verification: what is said while it runs, and the files that stay.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use s3ferry_core::diff::DifferentKey;
use s3ferry_core::manifest::Row;
use s3ferry_core::names::BucketName;
use s3ferry_core::verify::{Ending, Examples, Header, Report, Tally, Told, Verdict};
use s3ferry_engine::verify::Progress as Step;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{VerifyArgs, page};
use crate::commands::diff::report::{table_row, unread_lines};
use crate::commands::manifest::place::{Place, make_way_for_suffixes};
use crate::denials::Denials;
use crate::exit::Error;
use crate::failures::FailureCounts;
use crate::files::{folder_of, make_way};
use crate::output::{Format, Output, grouped};
use crate::sides::Sides;

/// How many keys the report and the table show.
const EXAMPLES: usize = 200;

/// What came of a verification so far.
#[derive(Debug)]
pub(super) struct Results {
    format: Format,
    stdout: Output<std::io::Stdout>,
    differences: Option<Output<File>>,
    report: Option<PathBuf>,
    manifests: Option<Manifests>,
    tally: Tally,
    examples: Examples,
    denials: Denials,
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
    report: &'a Report,
}

/// The manifests of what checksums would settle, one a side.
#[derive(Debug)]
struct Manifests {
    place: Place,
    sides: [(&'static str, BucketName, BufWriter<NamedTempFile>); 2],
}

impl Manifests {
    async fn begin(args: &VerifyArgs, sides: &Sides) -> Result<Option<Self>, Error> {
        let Some(target) = &args.unsettled_manifest else {
            return Ok(None);
        };
        let place = Place::open(target, &sides.clients, &sides.source.region).await?;
        let source = BufWriter::new(place.begin()?);
        let destination = BufWriter::new(place.begin()?);
        Ok(Some(Self {
            place,
            sides: [
                ("-source", sides.source.location.bucket.clone(), source),
                ("-destination", sides.destination.location.bucket.clone(), destination),
            ],
        }))
    }

    fn write(&mut self, key: &DifferentKey) -> Result<(), Error> {
        for (_, bucket, file) in &mut self.sides {
            let row = Row::new(bucket.clone(), key.key.clone(), None);
            writeln!(file, "{}", row.to_csv()).map_err(Error::file("write to a temporary file"))?;
        }
        Ok(())
    }

    async fn end(self) -> Result<Vec<String>, Error> {
        let mut locations = Vec::new();
        for (suffix, _, file) in self.sides {
            let file = file.into_inner();
            let file = file.map_err(|error| Error::file("write to a temporary file")(error.into_error()))?;
            let (location, _) = self.place.finish(file, suffix, "csv").await?;
            locations.push(location);
        }
        Ok(locations)
    }
}

/// Makes way for the files that will be written: those of an earlier run must not speak for one that fails at once.
pub(super) fn make_way_for_files(args: &VerifyArgs) -> Result<(), Error> {
    if let Some(report) = &args.report {
        if report.file_name().is_none() {
            return Err(Error::setup(
                format!("the report cannot be written to {}", report.display()),
                "name a file in a folder that is there, as in --report verification",
            ));
        }
        for extension in ["json", "html"] {
            make_way(&with_extension(report, extension))?;
        }
    }
    if let Some(target) = &args.unsettled_manifest {
        make_way_for_suffixes(target, &["-source", "-destination"])?;
    }
    match &args.differences {
        Some(path) => make_way(path),
        None => Ok(()),
    }
}

impl Results {
    /// Makes sure that everything can be written before anything is compared.
    pub(super) async fn begin(format: Format, args: &VerifyArgs, sides: &Sides) -> Result<Self, Error> {
        let differences = match &args.differences {
            Some(path) => {
                let file = File::create(path);
                let file = file.map_err(Error::file(format!(
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
            tally: Tally::default(),
            examples: Examples::default(),
            denials: Denials::default(),
            unread: FailureCounts::default(),
        })
    }

    /// Returns what was told so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Says in a few numbers how it goes.
    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        let tally = &self.tally;
        [
            ("differ", tally.different),
            ("ahead", tally.ahead),
            ("cannot-tell", tally.cannot_tell),
        ]
    }

    /// Takes what came of some more keys.
    pub(super) fn take(&mut self, step: &Step) -> Result<(), Error> {
        self.tally.add(&step.tally);
        let unread = match &step.told {
            Some(Told::Unread { failure, .. }) => Some(failure),
            _ => None,
        };
        if step.tally.accounted() > step.tally.not_examined + u64::from(unread.is_some()) {
            self.denials.looked(None).map_err(Error::Failed)?;
        }
        let Some(told) = &step.told else { return Ok(()) };
        let Some(key) = told.key() else { return Ok(()) };
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
            Told::CannotTell {
                checksums_would_help: true,
                ..
            },
            Some(manifests),
        ) = (told, &mut self.manifests)
        {
            manifests.write(key)?;
        }
        match unread {
            Some(failure) => self.denials.looked(Some(failure)).map_err(Error::Failed),
            None => Ok(()),
        }
    }

    /// Ends the command where nothing can be read for want of a permission: that ails the credentials, not the objects.
    pub(super) fn must_not_be_all_denied(&self) -> Result<(), Error> {
        self.denials.must_not_be_all().map_err(Error::Failed)
    }

    /// Writes what stays, and the summary.
    pub(super) async fn end(mut self, mut header: Header, ending: Ending, is_sample: bool) -> Result<Verdict, Error> {
        if let Some(manifests) = self.manifests.take() {
            header.unsettled_manifests = manifests.end().await?;
        }
        if let Some(differences) = &mut self.differences {
            differences.flush()?;
        }
        let verdict = self.tally.verdict(ending, is_sample);
        let report = Report::new(header, &self.tally, verdict, self.examples);
        let mut written = Vec::new();
        if let Some(path) = &self.report {
            let json = serde_json::to_vec_pretty(&report);
            let json = json.map_err(|error| Error::Bug(format!("unwritable JSON: {error}")))?;
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

/// Writes a file that appears under its name when it is whole.
fn write(path: &Path, extension: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    let path = with_extension(path, extension);
    let unwritable = || Error::file(format!("write the report {}", path.display()));
    let mut file = NamedTempFile::new_in(folder_of(&path)).map_err(unwritable())?;
    file.write_all(bytes).map_err(unwritable())?;
    file.persist(&path).map_err(|error| unwritable()(error.error))?;
    Ok(path)
}

fn lines(report: &Report, unread: &[String], written: &[PathBuf]) -> Vec<String> {
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
    let is_whole = report.verdict != Verdict::Incomplete;
    if !is_whole {
        lines.push(format!(
            "stopped after {} keys: the figures are those of the keys compared so far, and no verdict",
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
        (report.unread, "could not be read, counted as cannot-tell"),
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
            .unsettled_manifests
            .iter()
            .map(|location| format!("manifest: {location}")),
    );
    lines.extend(written.iter().map(|path| format!("report: {}", path.display())));
    lines.push(format!("{}: {}", report.verdict.as_str(), report.statement));
    lines
}
