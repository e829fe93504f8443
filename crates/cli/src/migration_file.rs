//! The migration file of the current folder, or the one that `--migration` names.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use s3ferry_core::migration::{FILE_NAME, Migration, MigrationFile, MigrationSelectionError};

use crate::exit::CliError;

/// A migration file with its path.
#[derive(Debug, Clone)]
pub(crate) struct LoadedMigrationFile {
    path: PathBuf,
    file: MigrationFile,
}

impl LoadedMigrationFile {
    /// Reads the given file, or else the one of the current folder if there is one.
    pub(crate) fn load(given: Option<&Path>) -> Result<Option<Self>, CliError> {
        let path = given.unwrap_or(Path::new(FILE_NAME));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && given.is_none() => return Ok(None),
            Err(error) => {
                return Err(CliError::unreadable(format!(
                    "read the migration file {}",
                    path.display()
                ))(error));
            }
        };
        let file = MigrationFile::parse(&text).map_err(|problems| CliError::MigrationFile {
            path: path.display().to_string(),
            problems,
        })?;
        Ok(Some(Self {
            path: path.to_owned(),
            file,
        }))
    }

    /// Returns all migrations.
    pub(crate) fn all(&self) -> &[Migration] {
        &self.file.migrations
    }

    /// Returns the migration with this name; without a name, the only one.
    pub(crate) fn select(&self, name: Option<&str>) -> Result<&Migration, CliError> {
        self.file.select(name).map_err(|error| self.unselected(&error))
    }

    fn unselected(&self, error: &MigrationSelectionError) -> CliError {
        let path = self.path.display();
        match error {
            MigrationSelectionError::Unknown { name, similar, names } => CliError::usage(
                format!("{path} has no migration `{name}`"),
                match (similar, names.as_slice()) {
                    (Some(similar), _) => format!("did you mean --name {similar}?"),
                    (None, []) => "omit --name: the migration of the file has no name".to_owned(),
                    (None, names) => format!("name one of: {}", names.join(", ")),
                },
            ),
            MigrationSelectionError::Several { names } => CliError::usage(
                format!(
                    "{path} has {} migrations, and neither --name nor --all is given",
                    names.len()
                ),
                format!("pass --name with one of: {}", names.join(", ")),
            ),
        }
    }
}

/// Returns the path of the file that `--migration` names, or of the one in the current folder.
pub(crate) fn path_of(given: Option<&Path>) -> PathBuf {
    given.unwrap_or(Path::new(FILE_NAME)).to_owned()
}
