//! The arguments of a run, completed by the migration file.
//!
//! The file is read before the arguments are: each of its values becomes the default of the flag with the same name, of
//! whichever command runs. So flags have priority, and a command takes the file without code of its own.

mod defaults;
mod errors;
mod given;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _};
use s3ferry_core::migration::Migration;

use self::defaults::Defaults;
use self::errors::with_tips;
use self::given::{GivenArguments, NAME};
use crate::cli::Cli;
use crate::exit::CliError;
use crate::migration_file::LoadedMigrationFile;

/// What to run: the command once, or with `--all` once for each migration.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) runs: Vec<MigrationRun>,
    /// Name of the command, if it runs for all migrations.
    pub(crate) fleet_command: Option<String>,
}

/// The command with the arguments of one migration.
#[derive(Debug)]
pub(crate) struct MigrationRun {
    pub(crate) cli: Cli,
    /// The migration of the file, if there is one.
    pub(crate) migration: Option<Migration>,
}

/// Reasons why nothing runs.
#[derive(Debug)]
pub(crate) enum InvocationError {
    /// The arguments are not valid, or they ask for help.
    Arguments(Box<clap::Error>),
    /// The migration file is not usable.
    File(CliError),
}

impl From<CliError> for InvocationError {
    fn from(error: CliError) -> Self {
        Self::File(error)
    }
}

impl Invocation {
    /// Reads the arguments and the migration file.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, InvocationError> {
        let args: Vec<OsString> = args.into_iter().collect();
        let Some(given) = GivenArguments::read(&args) else {
            return parsed(Cli::command(), args, None).map(Self::single);
        };
        given.ensure_consistent()?;
        if !given.takes_file() {
            if given.name.is_some() || given.is_for_all {
                return Err(given.takes_no_migration().into());
            }
            return parsed(Cli::command(), args, None).map(Self::single);
        }
        let Some(file) = LoadedMigrationFile::load(given.file.as_deref())? else {
            if given.name.is_some() || given.is_for_all {
                return Err(errors::no_file().into());
            }
            return run(&given, args, None).map(Self::single);
        };
        if !given.is_for_all {
            let migration = file.select(given.name.as_deref())?;
            return run(&given, args, Some(migration)).map(Self::single);
        }
        given.ensure_fleet()?;
        let runs = file
            .all()
            .iter()
            .map(|migration| run(&given, args.clone(), Some(migration)));
        Ok(Self {
            runs: runs.collect::<Result<_, _>>()?,
            fleet_command: given.path.first().cloned(),
        })
    }

    fn single(run: MigrationRun) -> Self {
        Self {
            runs: vec![run],
            fleet_command: None,
        }
    }
}

/// Reads the arguments strictly.
fn parsed(
    mut command: clap::Command,
    args: Vec<OsString>,
    migration: Option<&Migration>,
) -> Result<MigrationRun, InvocationError> {
    let refused = |error: clap::Error| InvocationError::Arguments(Box::new(with_tips(error, migration.is_some())));
    let matches = command.try_get_matches_from_mut(args).map_err(refused)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| refused(error.format(&mut command)))?;
    Ok(MigrationRun {
        cli,
        migration: migration.cloned(),
    })
}

/// Completes the arguments by the values of a migration, and reads them.
fn run(
    given: &GivenArguments,
    args: Vec<OsString>,
    migration: Option<&Migration>,
) -> Result<MigrationRun, InvocationError> {
    let defaults = Defaults::of(given, migration);
    let command = defaults.apply(Cli::command(), &given.path);
    let name = migration.and_then(Migration::name);
    let args = args.into_iter().map(|arg| match (name, arg.to_str()) {
        (Some(name), Some(text)) if text.contains(NAME) => text.replace(NAME, name).into(),
        _ => arg,
    });
    let args = args.chain(defaults.arguments.iter().map(OsString::from)).collect();
    parsed(command, args, migration)
}

#[cfg(test)]
mod tests;
