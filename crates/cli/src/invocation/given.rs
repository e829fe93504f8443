//! The arguments as they are given, before the migration file completes them.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _};
use s3ferry_core::location::Location;
use s3ferry_core::migration::keys::{KeyScope, find_key};

use crate::cli::Cli;
use crate::exit::CliError;
use crate::files::FileLocation;
use crate::fleet::columns::{columns, commands};

/// Text in arguments that stands for the name of the migration.
pub(super) const NAME: &str = "{name}";

/// The arguments as they are given, before missing ones are errors.
pub(super) struct GivenArguments {
    /// The names of the command and its subcommands.
    pub(super) path: Vec<String>,
    /// The definition of the command.
    pub(super) command: clap::Command,
    matches: ArgMatches,
    pub(super) file: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) is_for_all: bool,
}

impl GivenArguments {
    /// Reads the arguments leniently; `None` if they ask for help or name no command.
    pub(super) fn read(args: &[OsString]) -> Option<Self> {
        let lenient = Cli::command().ignore_errors(true);
        let matches = lenient.try_get_matches_from(args).ok()?;
        let file = matches.get_one::<PathBuf>("migration").cloned();
        let name = matches.get_one::<String>("migration_name").cloned();
        let is_for_all = matches.get_flag("all_migrations");
        let (mut command, mut leaf, mut path) = (Cli::command(), matches, Vec::new());
        while let Some((name, inner)) = leaf.remove_subcommand() {
            command = command.find_subcommand(&name)?.clone();
            leaf = inner;
            path.push(name);
        }
        (!path.is_empty()).then_some(Self {
            path,
            command,
            matches: leaf,
            file,
            name,
            is_for_all,
        })
    }

    /// Returns whether the command has a flag that the file sets, or uses the file itself.
    pub(super) fn takes_file(&self) -> bool {
        match self.path.first().map(String::as_str) {
            // It writes the file.
            Some("init") => false,
            Some("deploy-parameters") => true,
            _ => self.command.get_arguments().any(|arg| key_of(arg).is_some()),
        }
    }

    pub(super) fn is_given(&self, id: &clap::Id) -> bool {
        let source = self.matches.value_source(id.as_str());
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }

    /// Returns an argument as it is given.
    pub(super) fn text(&self, id: &str) -> Option<String> {
        if !self.command.get_arguments().any(|arg| arg.get_id() == id) || !self.is_given(&id.to_owned().into()) {
            return None;
        }
        let mut values = self.matches.get_raw(id)?;
        Some(values.next()?.to_string_lossy().into_owned())
    }

    /// Returns a bucket that the arguments name, as a flag or by its position.
    pub(super) fn location(&self, side: &str) -> Option<String> {
        self.text(side).or_else(|| self.text(&format!("positional_{side}")))
    }

    /// Refuses a bucket that is given twice, in different ways.
    pub(super) fn ensure_consistent(&self) -> Result<(), CliError> {
        for side in ["source", "destination"] {
            let (flag, position) = (self.text(side), self.text(&format!("positional_{side}")));
            if let (Some(flag), Some(position)) = (flag, position)
                && !is_same_location(&flag, &position)
            {
                return Err(CliError::usage(
                    format!("the {side} is given twice: {position}, and --{side} {flag}"),
                    format!(
                        "omit one of them: `s3ferry {} SOURCE DESTINATION` needs no --{side}",
                        self.path.join(" ")
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Refuses `--all` of a command that has no table, or with arguments of one migration.
    pub(super) fn ensure_fleet(&self) -> Result<(), CliError> {
        let command = self.path.join(" ");
        if columns(&command).is_none() {
            return Err(CliError::usage(
                format!("`s3ferry {command}` runs one migration at a time, without --all"),
                format!("pass --name NAME; --all is for: {}", commands().join(", ")),
            ));
        }
        for arg in self.command.get_arguments().filter(|arg| self.is_given(arg.get_id())) {
            let scope = key_of(arg).and_then(find_key).map(|key| key.scope);
            let is_positional = arg.get_long().is_none();
            if is_positional || scope.is_some_and(|scope| scope != KeyScope::Copies) {
                return Err(CliError::usage(
                    format!(
                        "{} is of one migration, and --all runs every migration of the file",
                        shown(arg)
                    ),
                    format!("omit {}, or pass --name NAME instead of --all", shown(arg)),
                ));
            }
            let kind = arg.get_value_parser().type_id();
            let is_file = kind == TypeId::of::<PathBuf>() || kind == TypeId::of::<FileLocation>();
            let text = self.text(arg.get_id().as_str()).unwrap_or_default();
            if is_file && !text.contains(NAME) {
                return Err(CliError::usage(
                    format!("{} {text} is one file for all migrations", shown(arg)),
                    format!(
                        "write {NAME} where the file names the migration, as in {} {NAME}-{text}",
                        shown(arg)
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn takes_no_migration(&self) -> CliError {
        let command = self.path.join(" ");
        CliError::usage(
            format!("`s3ferry {command}` takes nothing from a migration file, so neither --name nor --all"),
            "omit the flag",
        )
    }
}

fn shown(arg: &clap::Arg) -> String {
    match arg.get_long() {
        Some(long) => format!("--{long}"),
        None => arg.get_value_names().unwrap_or_default().join(" "),
    }
}

/// Returns the key whose value a flag takes.
pub(super) fn key_of(arg: &clap::Arg) -> Option<&'static str> {
    let name = arg.get_long()?.replace('-', "_");
    // --name selects the migration.
    let key = find_key(&name).filter(|key| key.name != "name" && !arg.is_global_set())?;
    Some(key.name)
}

/// Returns whether two texts are the same bucket with the same prefix.
fn is_same_location(one: &str, other: &str) -> bool {
    match (one.parse::<Location>(), other.parse::<Location>()) {
        (Ok(one), Ok(other)) => one == other,
        // The parser of the arguments reports it.
        _ => true,
    }
}
