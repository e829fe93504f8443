//! `s3ferry dlq redrive` and `s3ferry dlq drop`.

use std::io::{self, IsTerminal as _};

use clap::Args;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::dead_letter::{DeadLetter, DeadLetterFilter};
use s3ferry_engine::dead_letters::{LetterAction, LetterCounts, LetterError, process_letters};
use s3ferry_engine::ports::Clock as _;
use serde_json::json;

use super::queues::{LetterQueues, QueueArgs};
use super::selection::{FilterArgs, letter_error};
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output};
use crate::question::answer_to;
use crate::text::grouped;

/// The arguments of `dlq redrive`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Fix the cause first, then send all dead letters back to the queue:
    s3ferry dlq redrive --stack s3ferry-source
  Only those of a folder:
    s3ferry dlq redrive --stack s3ferry-source --key-prefix images/

A message is sent to the queue and then deleted, so an interrupted redrive can
send a message twice. That changes nothing: a message only names keys to
compare.")]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    queues: QueueArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

/// The arguments of `dlq drop`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Delete the messages of other buckets:
    s3ferry dlq drop --stack s3ferry-source --reason ForeignBucket
  Without a confirmation:
    s3ferry dlq drop --stack s3ferry-source --key-prefix tmp/ --yes

The write of a dropped message stays missing at the destination until a final
sync or `s3ferry sync` finds it.")]
pub(super) struct DropArgs {
    #[command(flatten)]
    queues: QueueArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Delete without confirmation
    #[arg(long)]
    yes: bool,
}

/// Sends dead letters back to the queue.
pub(super) async fn redrive(
    shared: &SharedArgs,
    args: &RedriveArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let queues = LetterQueues::open(shared, &args.queues).await?;
    // Found before any message is hidden.
    let _queue = queues.queue()?;
    let (counts, ended) = work(&queues, &args.filter.filter(), LetterAction::Redrive, interrupt).await?;
    finish(shared, counts, ended, interrupt)
}

/// Deletes dead letters.
pub(super) async fn drop_letters(
    shared: &SharedArgs,
    args: &DropArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    if !args.yes && !io::stdin().is_terminal() {
        return Err(CliError::usage(
            "dlq drop asks for confirmation, but standard input is not a terminal",
            "check what would be deleted with `s3ferry dlq list`, then pass --yes",
        ));
    }
    let queues = LetterQueues::open(shared, &args.queues).await?;
    let filter = args.filter.filter();
    if !args.yes {
        confirm(&queues, &filter, interrupt).await?;
    }
    let (counts, ended) = work(&queues, &filter, LetterAction::Drop, interrupt).await?;
    finish(shared, counts, ended, interrupt)
}

/// Does `action` with every selected dead letter.
async fn work(
    queues: &LetterQueues,
    filter: &DeadLetterFilter,
    action: LetterAction,
    interrupt: &Interrupt,
) -> Result<(LetterCounts, Result<(), LetterError>), CliError> {
    let read_at = SystemClock.now();
    let queue = if action == LetterAction::Redrive {
        queues.queue()?
    } else {
        &queues.letters
    };
    Ok(process_letters(&queues.letters, queue, |raw| {
        if interrupt.is_set() {
            return LetterAction::Stop;
        }
        let letter = DeadLetter::decode(raw, queues.source_bucket.as_ref(), read_at);
        if filter.selects(&letter) {
            action
        } else {
            LetterAction::Keep
        }
    })
    .await)
}

/// Asks before dead letters are deleted.
async fn confirm(queues: &LetterQueues, filter: &DeadLetterFilter, interrupt: &Interrupt) -> Result<(), CliError> {
    let (read_at, mut selected) = (SystemClock.now(), 0);
    let (_, ended) = process_letters(&queues.letters, &queues.letters, |raw| {
        if interrupt.is_set() {
            return LetterAction::Stop;
        }
        let letter = DeadLetter::decode(raw, queues.source_bucket.as_ref(), read_at);
        selected += u64::from(filter.selects(&letter));
        LetterAction::Keep
    })
    .await;
    ended.map_err(letter_error)?;
    let question = format!(
        "{} dead letters of {} are deleted, and their writes are not retried.\nType drop to continue:",
        grouped(selected),
        queues.letters_url
    );
    let typed = answer_to(&question, interrupt).await?;
    if typed == "drop" {
        return Ok(());
    }
    Err(CliError::usage(
        format!("`{typed}` is not drop; nothing was deleted"),
        "type drop, or pass --yes",
    ))
}

/// Reports what was done, also if it ended early.
fn finish(
    shared: &SharedArgs,
    counts: LetterCounts,
    ended: Result<(), LetterError>,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let mut output = Output::stdout();
    let LetterCounts {
        read,
        redriven,
        dropped,
    } = counts;
    match shared.output {
        Format::Json => output.json(&json!({
            "type": "summary",
            "read": read,
            "redriven": redriven,
            "dropped": dropped,
            "complete": ended.is_ok() && !interrupt.is_set(),
        }))?,
        Format::Human => output.line(format!(
            "{} dead letters read, {} redriven, {} dropped",
            grouped(read),
            grouped(redriven),
            grouped(dropped)
        ))?,
    }
    output.flush()?;
    ended.map_err(letter_error)?;
    if interrupt.is_set() {
        return Err(CliError::Interrupted);
    }
    Ok(CommandOutcome::Done)
}
