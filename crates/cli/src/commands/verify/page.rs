//! The report as one HTML page that needs nothing beside it.

use askama::Template;
use indicatif::HumanBytes;
use s3ferry_core::diff::{ComparedObject, DifferentKey};
use s3ferry_core::verify::{VerificationReport, VerificationVerdict};

use crate::exit::CliError;
use crate::text::{grouped, is_unseen};

/// The page. What is written into it is escaped by the template's engine.
#[derive(Debug, Template)]
#[template(path = "verification.html")]
struct Page<'a> {
    report: &'a VerificationReport,
    title: &'static str,
    tone: &'static str,
    sides: [Side; 2],
    run: Vec<(&'static str, String)>,
    counts: Vec<(&'static str, String)>,
    compared: Vec<Counted>,
    differences: Vec<(&'static str, String)>,
    examples: Vec<Example>,
    left_out: String,
}

#[derive(Debug)]
struct Side {
    name: &'static str,
    location: String,
    region: String,
    objects: String,
    bytes: String,
}

#[derive(Debug)]
struct Counted {
    name: &'static str,
    meaning: &'static str,
    objects: String,
    bytes: String,
}

#[derive(Debug)]
struct Example {
    key: String,
    differences: Vec<&'static str>,
    source: String,
    destination: String,
    reason: String,
}

/// Renders the page.
pub(super) fn render(report: &VerificationReport) -> Result<String, CliError> {
    let (title, tone) = match report.verdict {
        VerificationVerdict::Verified => ("Verified", "good"),
        VerificationVerdict::DestinationAhead => ("Equal, and the destination is ahead", "good"),
        VerificationVerdict::NoDifferenceInSample => ("No difference in the sample", "partial"),
        VerificationVerdict::Different => ("Different", "bad"),
        VerificationVerdict::Inconclusive => ("Inconclusive", "partial"),
        VerificationVerdict::NothingToCompare => ("Nothing to compare", "partial"),
        VerificationVerdict::Incomplete => ("Incomplete", "partial"),
    };
    let sides = &report.header.sides;
    let side = |name, side: &s3ferry_core::verify::BucketTotals| Side {
        name,
        location: visible(&format!("s3://{}/{}", side.bucket, side.prefix)),
        region: side.region.clone(),
        objects: grouped(side.amount.objects),
        bytes: bytes(side.amount.bytes),
    };
    let page = Page {
        report,
        title,
        tone,
        sides: [side("Source", &sides.source), side("Destination", &sides.destination)],
        run: run(report),
        counts: counts(report),
        compared: report
            .compared_by
            .iter()
            .map(|compared| Counted {
                name: compared.by.as_str(),
                meaning: compared.meaning,
                objects: grouped(compared.amount.objects),
                bytes: bytes(compared.amount.bytes),
            })
            .collect(),
        differences: report
            .differences
            .iter()
            .map(|difference| (difference.kind, grouped(difference.keys)))
            .collect(),
        examples: report.examples.shown.iter().map(example).collect(),
        left_out: match report.examples.left_out {
            0 => String::new(),
            more => grouped(more),
        },
    };
    page.render()
        .map_err(|error| CliError::Bug(format!("unwritable HTML: {error}")))
}

fn run(report: &VerificationReport) -> Vec<(&'static str, String)> {
    let header = &report.header;
    let comparison = &header.comparison;
    let mut run = vec![
        ("Depth", comparison.depth.as_str().to_owned()),
        ("Ownership", comparison.ownership.to_owned()),
        ("Compared", comparison.attributes.compared.join("; ")),
        ("Not compared", comparison.attributes.not_compared.join("; ")),
        (
            "Sample",
            match &comparison.sample {
                None => "none: every object".to_owned(),
                Some(sample) => format!(
                    "{} of {} objects, seed {}",
                    grouped(sample.drawn),
                    grouped(sample.population),
                    sample.seed
                ),
            },
        ),
        (
            "Contents",
            if comparison.reads_contents {
                format!(
                    "read where stored checksums are inconclusive, up to {} each",
                    bytes(comparison.max_read_bytes)
                )
            } else {
                "not read".to_owned()
            },
        ),
    ];
    for job in &header.job_reports {
        run.push((
            "Checksums of a job",
            format!(
                "{}: {} ({} computed, {} failed)",
                job.side,
                visible(&job.location),
                grouped(job.computed),
                grouped(job.failed)
            ),
        ));
    }
    run.extend([
        ("Started", header.started_at.clone()),
        ("Ended", header.ended_at.clone()),
        ("Operator", visible(&header.operator)),
        ("Tool", format!("{} {}", header.tool.name, header.tool.version)),
    ]);
    run.extend(header.messages.iter().map(|messages| {
        let (queue, dead_letters) = (grouped(messages.queue), grouped(messages.dead_letters));
        (
            "Messages in flight at the end",
            format!("{queue}, and {dead_letters} dead letters"),
        )
    }));
    run.extend(header.stopped_by.iter().map(|why| ("Stopped by", visible(why))));
    run.extend(
        header
            .differences_file
            .iter()
            .map(|file| ("All that is not equal", visible(file))),
    );
    run.extend(
        header
            .inconclusive_manifests
            .iter()
            .map(|file| ("Manifest of inconclusive objects", visible(file))),
    );
    run
}

fn counts(report: &VerificationReport) -> Vec<(&'static str, String)> {
    let always = [
        ("Keys of either side", report.keys),
        ("Equal", report.equal),
        ("Different", report.different),
        ("Inconclusive", report.inconclusive),
    ];
    let sometimes = [
        ("Of those, could not be read", report.unread),
        ("Written by applications at the destination", report.ahead),
        ("Gone on both sides since they were listed", report.gone),
        ("Not drawn for the sample", report.not_examined),
        ("Changed meanwhile, and compared again", report.changed),
    ];
    let sometimes = sometimes.into_iter().filter(|(_, count)| *count > 0);
    let mut counts: Vec<(&'static str, String)> = always
        .into_iter()
        .chain(sometimes)
        .map(|(name, count)| (name, grouped(count)))
        .collect();
    if report.read_bytes > 0 {
        counts.push(("Read of both sides", bytes(report.read_bytes)));
    }
    counts
}

fn example(key: &DifferentKey) -> Example {
    let seen = |seen: &Option<ComparedObject>| match seen {
        None => "none".to_owned(),
        Some(seen) => {
            let etag = seen.etag.as_deref().unwrap_or("no ETag");
            format!(
                "{}, {}, {}, {}",
                bytes(seen.size_bytes),
                visible(etag),
                visible(&seen.storage_class),
                seen.last_modified
            )
        }
    };
    Example {
        key: visible(key.key.as_str()),
        differences: key.differences.iter().map(|kind| kind.as_str()).collect(),
        source: seen(&key.source),
        destination: seen(&key.destination),
        reason: key.reason.as_deref().map(visible).unwrap_or_default(),
    }
}

/// Writes bytes as people read them, exact below a kibibyte.
fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        0..1_024 => format!("{count} bytes"),
        _ => format!("{} ({} bytes)", HumanBytes(count), grouped(count)),
    }
}

/// Shows characters that would not be seen, or would move others about, as escapes.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_unseen(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
