//! `s3ferry dlq list`.

use clap::Args;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::dead_letter::{DeadLetter, RECEIVES_EXHAUSTED};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::dead_letters::{LetterAction, process_letters};
use s3ferry_engine::ports::Clock as _;
use serde_json::{Value, json};

use super::queues::{LetterQueues, QueueArgs};
use super::selection::{FilterArgs, letter_error};
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output};
use crate::text::{escaped_key, grouped};

/// The arguments of `dlq list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  List the dead letters of a stack:
    s3ferry dlq list --stack s3ferry-source
  Only those of a folder, as JSON:
    s3ferry dlq list --stack s3ferry-source --key-prefix images/ --output json

Listing receives the messages and makes them visible again, which adds one to
their receives. A message that is being listed or redriven elsewhere is hidden
and does not appear.")]
pub(super) struct ListArgs {
    #[command(flatten)]
    queues: QueueArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Largest number of dead letters to list
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Lists dead letters.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &ListArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let queues = LetterQueues::open(shared, &args.queues).await?;
    let (filter, read_at) = (args.filter.filter(), SystemClock.now());
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut is_complete = true;
    // Nothing is sent: the queue of the replicator is not needed.
    let (_, ended) = process_letters(&queues.letters, &queues.letters, |raw| {
        let letter = DeadLetter::decode(raw, queues.source_bucket.as_ref(), read_at);
        if interrupt.is_set() || found.len() >= limit {
            is_complete = false;
            return LetterAction::Stop;
        }
        if filter.selects(&letter) {
            found.push(letter);
        }
        LetterAction::Keep
    })
    .await;
    ended.map_err(letter_error)?;
    if interrupt.is_set() {
        return Err(CliError::Interrupted);
    }
    show(shared, &found, is_complete)?;
    Ok(CommandOutcome::Done)
}

fn show(shared: &SharedArgs, letters: &[DeadLetter], is_complete: bool) -> Result<(), CliError> {
    let mut output = Output::stdout();
    match shared.output {
        Format::Json => {
            for letter in letters {
                output.json(&letter_json(letter))?;
            }
            output.json(&json!({
                "type": "summary",
                "dead_letters": letters.len(),
                "complete": is_complete,
                "approximate": true,
            }))?;
        }
        Format::Human => {
            for letter in letters {
                for line in letter_lines(letter) {
                    output.line(line)?;
                }
            }
            let count = grouped(u64::try_from(letters.len()).unwrap_or(u64::MAX));
            let more = if is_complete { "" } else { "; there are more (--limit)" };
            output.line(format!("{count} dead letters{more}"))?;
            if letters.iter().any(|letter| letter.reason == RECEIVES_EXHAUSTED) {
                output.line(format!(
                    "{RECEIVES_EXHAUSTED}: the message does not say why; the log of the replicator does, by the key"
                ))?;
            }
        }
    }
    output.flush()
}

fn letter_lines(letter: &DeadLetter) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "unknown".to_owned(), Timestamp::to_rfc3339);
    let detail = letter
        .detail
        .as_ref()
        .map_or_else(String::new, |detail| format!(": {detail}"));
    let mut lines: Vec<String> = letter
        .keys
        .iter()
        .map(|named| {
            format!(
                "{}/{} ({})",
                named.bucket,
                escaped_key(named.key.as_str()),
                named.event_name
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("no readable key".to_owned());
    }
    lines.push(format!("  {}{detail}", letter.reason));
    lines.push(format!(
        "  arrived {}, first failure about {}, last failure {}, {} receives, message {}",
        time(letter.arrived),
        time(letter.first_failure),
        time(letter.last_failure),
        letter.receives,
        letter.id
    ));
    lines
}

fn letter_json(letter: &DeadLetter) -> Value {
    let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
    let keys = letter.keys.iter();
    let keys: Vec<Value> = keys
        .map(|named| json!({"bucket": named.bucket.as_str(), "key": named.key.as_str(), "event": named.event_name}))
        .collect();
    json!({
        "type": "dead-letter",
        "id": letter.id,
        "keys": keys,
        "reason": letter.reason,
        "detail": letter.detail,
        "event_time": time(letter.event_time),
        "arrived": time(letter.arrived),
        "first_failure": time(letter.first_failure),
        "last_failure": time(letter.last_failure),
        "receives": letter.receives,
        "approximate": true,
    })
}
