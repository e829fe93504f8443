//! `s3ferry init`: writes a migration file.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use clap::Args;
use s3ferry_aws::batch::stacks;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::migration::parameters::StackDescription;
use s3ferry_core::migration::{FILL_IN, MigrationFile, MigrationValues};
use s3ferry_core::names::Region;
use serde_json::json;

use crate::args::{SharedArgs, region};
use crate::bucket_side::load_clients;
use crate::exit::{CliError, CommandOutcome};
use crate::location::Location;
use crate::migration_file::path_of;
use crate::output::{Format, Output};
use crate::progress::print_message;

/// The arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Write s3ferry.toml for two buckets, and then verify without flags:
    s3ferry init s3://app-data s3://app-data-eu
    s3ferry verify
  Write it from the parameters and outputs of deployed stacks:
    s3ferry init --from-stack s3ferry-source \\
      --from-destination-stack s3ferry-destination
  Write a file with every key explained, to be filled in:
    s3ferry init --migration photos.toml

A key of the file has the name of the flag that it sets. Flags have priority.")]
pub struct InitArgs {
    /// Source bucket and optional prefix, such as s3://my-bucket/images/
    #[arg(value_name = "SOURCE", conflicts_with = "from_stack")]
    source: Option<Location>,
    /// Destination bucket, with the same prefix as the source
    #[arg(value_name = "DESTINATION", conflicts_with = "from_stack")]
    destination: Option<Location>,
    /// Region of the source bucket, and of the stack of --from-stack [default: detected; for the stack, AWS_REGION]
    #[arg(long, value_name = "REGION", value_parser = region)]
    source_region: Option<Region>,
    /// Region of the destination bucket [default: detected; of the source stack's parameters with --from-stack]
    #[arg(long, value_name = "REGION", value_parser = region)]
    destination_region: Option<Region>,
    /// Deployed source stack, whose parameters and outputs are written
    #[arg(long, value_name = "NAME")]
    from_stack: Option<String>,
    /// Deployed destination stack, whose parameters are written
    #[arg(long, value_name = "NAME", requires = "from_stack")]
    from_destination_stack: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// Writes the file.
pub async fn run(shared: &SharedArgs, args: &InitArgs) -> Result<CommandOutcome, CliError> {
    let path = path_of(shared.migration.as_deref());
    if !args.force && path.exists() {
        return Err(exists(&path));
    }
    let mut values = match &args.from_stack {
        Some(stack) => of_stacks(shared, args, stack).await?,
        None => MigrationValues::default(),
    };
    let given = [
        ("source", args.source.as_ref().map(ToString::to_string)),
        ("destination", args.destination.as_ref().map(ToString::to_string)),
        ("source_region", args.source_region.as_ref().map(ToString::to_string)),
        (
            "destination_region",
            args.destination_region.as_ref().map(ToString::to_string),
        ),
        ("name", shared.migration_name.clone()),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            values.keys.insert(key, value);
        }
    }
    let text = values.render();
    let mut problems = MigrationFile::parse(&text).err().unwrap_or_default();
    let to_fill_in = problems.len();
    problems.retain(|problem| !problem.what.contains(FILL_IN));
    if !problems.is_empty() {
        return Err(CliError::MigrationFile {
            path: path.display().to_string(),
            problems,
        });
    }
    write(&path, &text, args.force)?;
    let mut output = Output::stdout();
    match shared.output {
        Format::Human => output.line(format!("wrote {}", path.display()))?,
        Format::Json => output.json(&json!({ "type": "file", "path": path, "to_fill_in": to_fill_in }))?,
    }
    output.flush()?;
    print_message(if to_fill_in > 0 {
        "next: replace each FILL-IN in the file"
    } else {
        "next: read the file, then run `s3ferry preflight`"
    });
    Ok(CommandOutcome::Done)
}

/// Reads the stacks.
async fn of_stacks(shared: &SharedArgs, args: &InitArgs, stack: &str) -> Result<MigrationValues, CliError> {
    let (clients, source_region) = load_clients(
        shared,
        args.source_region.as_ref(),
        "--source-region",
        RequestLimits::default(),
    )
    .await?;
    let source = stacks::describe(&clients, &source_region, stack).await?;
    let destination = match &args.from_destination_stack {
        Some(name) => {
            let region = match &args.destination_region {
                Some(region) => region.clone(),
                None => destination_region(&source)?,
            };
            Some(stacks::describe(&clients, &region, name).await?)
        }
        None => None,
    };
    MigrationValues::of_stacks(&source, destination.as_ref()).map_err(|error| {
        CliError::setup(
            error.to_string(),
            "name the stacks of infra/source.yaml and infra/destination.yaml",
        )
    })
}

fn destination_region(source: &StackDescription) -> Result<Region, CliError> {
    let named = source.parameters.get("DestinationRegion").map(String::as_str);
    region(named.unwrap_or_default()).map_err(|error| {
        CliError::setup(
            format!("DestinationRegion of stack {}: {error}", source.name),
            "pass --destination-region",
        )
    })
}

fn exists(path: &Path) -> CliError {
    CliError::usage(
        format!("{} exists", path.display()),
        "pass --force to replace it, or --migration PATH to write another file",
    )
}

fn write(path: &Path, text: &str, replaces: bool) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replaces {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => CliError::file(format!("write {}", path.display()))(error),
    })
}
