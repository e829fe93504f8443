//! The migration file: what a migration is, written once for every command and both templates.
//!
//! [`MigrationFile::parse`] reads it, [`MigrationValues::render`] writes it with comments, and
//! [`Migration::source_parameters`] and [`Migration::destination_parameters`] are the parameters of the stacks.

mod check;
pub mod keys;
pub mod parameters;
mod parse;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::keys::closest;
use crate::location::Location;

/// The name of the file that commands read without being asked.
pub const FILE_NAME: &str = "s3ferry.toml";

/// Placeholder of values that have to be filled in.
pub const FILL_IN: &str = "FILL-IN";

/// A migration file: one migration, or several with names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    /// The migrations, in the order of the file. There is at least one.
    pub migrations: Vec<Migration>,
}

/// One migration of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The values, with those that all migrations of the file share.
    pub values: MigrationValues,
    /// The source bucket with its prefix.
    pub source: Location,
    /// The destination bucket with its prefix.
    pub destination: Location,
}

/// The values of a migration, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationValues {
    /// Values by the name of their key.
    pub keys: BTreeMap<&'static str, String>,
    /// Parameters of the source stack that have no key.
    pub source_parameters: BTreeMap<&'static str, String>,
    /// Parameters of the destination stack that have no key.
    pub destination_parameters: BTreeMap<&'static str, String>,
}

/// A problem in a migration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct MigrationFileProblem {
    /// Line of the problem, from 1.
    pub line: usize,
    /// The key or value, and what is wrong with it.
    pub what: String,
    /// The next step for the user.
    pub next: String,
}

/// Reasons why no migration of a file is selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrationSelectionError {
    /// The file has no migration with this name.
    #[error("no migration `{name}`")]
    Unknown {
        /// The given name.
        name: String,
        /// The most similar name of the file.
        similar: Option<String>,
        /// The names of the file.
        names: Vec<String>,
    },
    /// The file has several migrations, and none was named.
    #[error("{} migrations", .names.len())]
    Several {
        /// The names of the file.
        names: Vec<String>,
    },
}

impl MigrationFile {
    /// Returns the migration with this name; without a name, the only one.
    pub fn select(&self, name: Option<&str>) -> Result<&Migration, MigrationSelectionError> {
        let names = || {
            self.migrations
                .iter()
                .filter_map(Migration::name)
                .map(str::to_owned)
                .collect()
        };
        match (name, self.migrations.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(MigrationSelectionError::Several { names: names() }),
            (Some(name), all) => {
                let found = all.iter().find(|migration| migration.name() == Some(name));
                found.ok_or_else(|| MigrationSelectionError::Unknown {
                    name: name.to_owned(),
                    similar: closest(name, all.iter().filter_map(Migration::name)).map(str::to_owned),
                    names: names(),
                })
            }
        }
    }
}

impl Migration {
    /// Returns the value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key)
    }

    /// Returns the name of the migration.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.value("name")
    }
}

impl MigrationValues {
    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }
}
