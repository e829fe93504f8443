//! What a sync may delete: held back until both listings are complete, and confirmed.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, IsTerminal as _, Seek as _, Write as _};

use clap::Args;
use s3ferry_core::delete_limit::{DeleteRefusal, Deletes, MaxDelete};
use s3ferry_core::names::ObjectKey;

use crate::exit::CliError;
use crate::interrupt::Interrupt;
use crate::progress::print_message;
use crate::question::answer_to;
use crate::sides::BucketPair;
use crate::text::grouped;

/// The arguments of deletes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deleting")]
pub(super) struct DeleteArgs {
    /// Delete objects that only the destination has; not with --ownership shared
    #[arg(long)]
    pub(super) delete: bool,
    /// Delete without confirmation
    #[arg(long, requires = "delete")]
    pub(super) yes: bool,
    /// Largest number or percentage of keys to delete, such as 5000 or 10% [default: the larger of 50% and 1000 keys]
    #[arg(long, value_name = "KEYS_OR_PERCENT", requires = "delete", value_parser = str::parse::<MaxDelete>)]
    pub(super) max_delete: Option<MaxDelete>,
    /// Delete although the source has no objects
    #[arg(long, requires = "delete")]
    pub(super) allow_empty_source: bool,
}

impl DeleteArgs {
    /// Refuses deletes that need a confirmation if there is no terminal.
    pub(super) fn check(&self, is_dry: bool) -> Result<(), CliError> {
        if self.delete && !self.yes && !is_dry && !io::stdin().is_terminal() {
            return Err(CliError::usage(
                "--delete asks for confirmation, but standard input is not a terminal",
                "check what would be deleted with --dry-run, then pass --yes",
            ));
        }
        Ok(())
    }

    /// Refuses deletes that indicate a wrong source.
    pub(super) fn refusal(&self, sides: &BucketPair, deletes: &Deletes) -> Result<(), CliError> {
        let limit = self.max_delete.unwrap_or(MaxDelete::Default);
        let Err(refusal) = deletes.check(limit, self.allow_empty_source) else {
            return Ok(());
        };
        let next = match refusal {
            DeleteRefusal::EmptySource => {
                "check --source, its prefix and its inventory. Pass --allow-empty-source only if the source is meant to be \
                 empty: every one of these objects is then deleted"
            }
            DeleteRefusal::AboveLimit(_) => {
                "check --source, its prefix and its inventory, and list the keys with --dry-run --output json. To delete \
                 all of them, raise --max-delete"
            }
        };
        Err(CliError::setup(
            format!("nothing was deleted: {}, and {refusal}", question(sides, deletes)),
            next,
        ))
    }
}

/// Describes the deletes.
fn question(sides: &BucketPair, deletes: &Deletes) -> String {
    format!(
        "{} of the {} objects ({}) of {} would be deleted, because {} ({} objects) does not have them",
        grouped(deletes.keys),
        grouped(deletes.destination_keys),
        deletes.percentage(),
        sides.destination.location,
        sides.source.location,
        grouped(deletes.source_keys),
    )
}

/// Asks for the name of the destination bucket before objects are deleted.
pub(super) async fn confirm(sides: &BucketPair, deletes: &Deletes, interrupt: &Interrupt) -> Result<(), CliError> {
    let bucket = sides.destination.location.bucket.clone();
    for warning in &sides.warnings {
        print_message(warning);
    }
    let question = format!(
        "{}.\nType the name of the destination bucket to continue:",
        question(sides, deletes)
    );
    let typed = answer_to(&question, interrupt).await?;
    if typed == bucket.as_str() {
        return Ok(());
    }
    Err(CliError::usage(
        format!("`{typed}` is not the name of the destination bucket; nothing was deleted"),
        format!("type {bucket}, or omit --delete"),
    ))
}

/// Keys in a temporary file, so that memory does not limit their number.
#[derive(Debug)]
pub(super) struct SpilledKeys {
    file: BufWriter<File>,
    /// The number of keys.
    pub(super) count: u64,
}

impl SpilledKeys {
    pub(super) fn new() -> Result<Self, CliError> {
        let file = tempfile::tempfile().map_err(CliError::file("create a temporary file"))?;
        Ok(Self {
            file: BufWriter::new(file),
            count: 0,
        })
    }

    pub(super) fn push(&mut self, key: &ObjectKey) -> Result<(), CliError> {
        self.count += 1;
        // As JSON, a key with a line feed is one line.
        let line = serde_json::to_string(key).map_err(|error| CliError::Bug(error.to_string()))?;
        writeln!(self.file, "{line}").map_err(CliError::file("write to a temporary file"))
    }

    /// Returns the keys in the order in which they came.
    pub(super) fn keys(self) -> Result<impl Iterator<Item = Result<ObjectKey, CliError>>, CliError> {
        let unusable = || CliError::file("read a temporary file");
        let mut file = self.file.into_inner().map_err(|error| unusable()(error.into_error()))?;
        file.rewind().map_err(unusable())?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let key: String = serde_json::from_str(&line.map_err(unusable())?)
                .map_err(|error| CliError::Bug(format!("a key that was held back: {error}")))?;
            ObjectKey::from_raw(key).map_err(|error| CliError::Bug(error.to_string()))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_keys_come_back_as_they_were() {
        let mut held = SpilledKeys::new().unwrap();
        let keys = ["a", "new\nline", "\"q\"\r", "\u{1}\u{2028}ü"].map(|key| ObjectKey::from_raw(key).unwrap());
        for key in &keys {
            held.push(key).unwrap();
        }
        assert_eq!(held.count, 4);
        let back: Vec<ObjectKey> = held.keys().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, keys);
    }
}
