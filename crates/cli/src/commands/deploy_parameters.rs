//! `s3ferry deploy-parameters`: the migration file as parameters of both stacks.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use s3ferry_aws::client::Clients;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::failure::FailureCode;
use s3ferry_core::migration::{FILE_NAME, Migration};
use s3ferry_core::names::Region;
use serde_json::json;

use crate::args::{SharedArgs, SourceArgs, region};
use crate::bucket_side::{BucketSide, located, open_source};
use crate::exit::{CliError, CommandOutcome};
use crate::output::{Format, Output};

/// The arguments of `deploy-parameters`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Print the commands that deploy both stacks, the destination first:
    s3ferry deploy-parameters
  Deploy one stack; the output is quoted for the shell:
    eval \"sam deploy --template-file infra/source.yaml --resolve-s3 \\
      --capabilities CAPABILITY_IAM $(s3ferry deploy-parameters source)\"

A key that the file does not have is not passed: a stack that exists keeps its
value. `make deploy` uses the file if it exists.")]
pub struct DeployParametersArgs {
    /// Stack to print the arguments of, in one line [default: commands for both]
    #[arg(value_enum, value_name = "STACK")]
    stack: Option<StackArg>,
}

/// One of the two stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StackArg {
    /// The source stack, infra/source.yaml
    Source,
    /// The destination stack, infra/destination.yaml
    Destination,
}

/// A stack to deploy.
struct StackDeployment {
    stack: StackArg,
    name: String,
    region: Region,
    parameters: Vec<(&'static str, String)>,
}

impl StackArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Prints the parameters.
pub async fn run(
    shared: &SharedArgs,
    args: &DeployParametersArgs,
    migration: Option<&Migration>,
) -> Result<CommandOutcome, CliError> {
    let Some(migration) = migration else {
        return Err(CliError::usage(
            format!("there is no {FILE_NAME} in this folder"),
            "write one with `s3ferry init`, or pass --migration PATH",
        ));
    };
    let migration = with_regions(shared, migration.clone()).await?;
    // The source stack needs the destination bucket.
    let stacks = match args.stack {
        Some(stack) => vec![deployment(&migration, stack)?],
        None => vec![
            deployment(&migration, StackArg::Destination)?,
            deployment(&migration, StackArg::Source)?,
        ],
    };
    let mut output = Output::stdout();
    for stack in &stacks {
        match (shared.output, args.stack) {
            (Format::Json, _) => {
                let parameters: BTreeMap<&str, &String> =
                    stack.parameters.iter().map(|(name, value)| (*name, value)).collect();
                output.json(&json!({
                    "type": "stack",
                    "stack": stack.stack.as_str(),
                    "name": stack.name,
                    "region": stack.region.as_str(),
                    "parameters": parameters,
                }))?;
            }
            (Format::Human, Some(_)) => output.line(stack.arguments())?,
            (Format::Human, None) => {
                for line in stack.command() {
                    output.line(line)?;
                }
            }
        }
    }
    output.flush()?;
    Ok(CommandOutcome::Done)
}

/// Adds the regions that the file does not have, from the buckets.
async fn with_regions(shared: &SharedArgs, mut migration: Migration) -> Result<Migration, CliError> {
    let given = |key: &str| migration.value(key).map(region).transpose().map_err(CliError::Bug);
    let (source, destination) = (given("source_region")?, given("destination_region")?);
    if source.is_some() && destination.is_some() {
        return Ok(migration);
    }
    let (clients, side) = open_source(
        shared,
        &SourceArgs {
            source: migration.source.clone(),
            source_region: source,
            source_bucket_owner: None,
        },
        RequestLimits::default(),
    )
    .await?;
    let destination = match destination {
        Some(destination) => destination,
        None => destination_region(&clients, &migration, &side.region).await?,
    };
    migration.values.keys.insert("source_region", side.region.to_string());
    migration
        .values
        .keys
        .insert("destination_region", destination.to_string());
    Ok(migration)
}

async fn destination_region(clients: &Clients, migration: &Migration, first: &Region) -> Result<Region, CliError> {
    let side = BucketSide {
        location: migration.destination.clone(),
        region: first.clone(),
        owner: None,
    };
    match located(clients, side, None, "--destination-region").await {
        Ok(side) => Ok(side.region),
        Err(CliError::Failed(failure)) if failure.code == FailureCode::NoSuchBucket => Err(CliError::usage(
            format!(
                "the destination bucket {} does not exist yet, so its region is not known",
                migration.destination.bucket
            ),
            "set destination_region in the migration file, as in destination_region = \"eu-central-1\"",
        )),
        Err(error) => Err(error),
    }
}

fn deployment(migration: &Migration, stack: StackArg) -> Result<StackDeployment, CliError> {
    let (key, default, of_region) = match stack {
        StackArg::Source => ("stack", "s3ferry-source", "source_region"),
        StackArg::Destination => ("destination_stack", "s3ferry-destination", "destination_region"),
    };
    let name = match (migration.value(key), migration.name()) {
        (Some(name), _) => name.to_owned(),
        (None, None) => default.to_owned(),
        (None, Some(name)) => {
            return Err(CliError::usage(
                format!("`{key}` of the migration `{name}` is missing: each migration has its own stacks"),
                format!("add a line such as {key} = \"{default}-{name}\""),
            ));
        }
    };
    let parameters = match stack {
        StackArg::Destination => migration.destination_parameters(),
        StackArg::Source => migration.source_parameters().map_err(|error| {
            CliError::usage(
                error.to_string(),
                "choose another prefix, or migrate without the source stack",
            )
        })?,
    };
    Ok(StackDeployment {
        stack,
        name,
        region: region(migration.value(of_region).unwrap_or_default()).map_err(CliError::Bug)?,
        parameters,
    })
}

impl StackDeployment {
    fn words(&self) -> Vec<String> {
        let words = self
            .parameters
            .iter()
            .map(|(name, value)| shell_word(&sam_word(name, value)));
        words.collect()
    }

    /// Returns the arguments of `sam deploy`, with the parameters at the end.
    fn arguments(&self) -> String {
        let words = self.words().join(" ");
        format!(
            "--stack-name {} --region {} --parameter-overrides {words}",
            self.name, self.region
        )
    }

    /// Returns the command that deploys the stack, one parameter in a line.
    fn command(&self) -> Vec<String> {
        let mut lines = vec![
            format!("sam deploy --template-file infra/{}.yaml \\", self.stack.as_str()),
            format!("  --stack-name {} --region {} \\", self.name, self.region),
            "  --resolve-s3 --capabilities CAPABILITY_IAM --parameter-overrides \\".to_owned(),
        ];
        let words = self.words();
        let last = words.len().saturating_sub(1);
        lines.extend(words.into_iter().enumerate().map(|(position, word)| {
            let end = if position == last { "" } else { " \\" };
            format!("  {word}{end}")
        }));
        lines
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_./:@,+=-".contains(letter)
}

/// Returns a parameter as SAM reads it: a value that is empty or has other characters is quoted.
fn sam_word(name: &str, value: &str) -> String {
    if !value.is_empty() && value.chars().all(is_plain) {
        return format!("{name}={value}");
    }
    format!("{name}=\"{}\"", value.replace('"', "\\\""))
}

/// Quotes a word for a shell.
fn shell_word(word: &str) -> String {
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_quoted_for_sam_and_for_the_shell() {
        for (value, expected) in [
            ("photos-us", "Name=photos-us"),
            ("", "'Name=\"\"'"),
            ("rate(1 day)", "'Name=\"rate(1 day)\"'"),
            ("{\"arn:a\":\"arn:b\"}", "'Name=\"{\\\"arn:a\\\":\\\"arn:b\\\"}\"'"),
            ("it's", "'Name=\"it'\\''s\"'"),
        ] {
            assert_eq!(shell_word(&sam_word("Name", value)), expected, "{value}");
        }
    }
}
