//! Errors of the arguments that the migration file could have prevented.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use s3ferry_core::migration::FILE_NAME;
use s3ferry_core::migration::keys::find_key;

use crate::exit::CliError;

/// Adds to missing arguments the keys of the migration file that set them.
pub(super) fn with_tips(mut error: clap::Error, has_file: bool) -> clap::Error {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return error;
    }
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.clone(),
        Some(ContextValue::String(missing)) => vec![missing.clone()],
        _ => Vec::new(),
    };
    let keys: Vec<String> = missing
        .iter()
        .filter_map(|missing| {
            let flag = missing.split([' ', '=']).next()?;
            let key = find_key(&flag.trim_start_matches('-').replace('-', "_"))?;
            Some(format!("`{}`", key.name))
        })
        .collect();
    if keys.is_empty() {
        return error;
    }
    let write = if has_file {
        format!("set {} in the migration file", keys.join(" and "))
    } else {
        format!(
            "write a migration file with {} ({FILE_NAME}, see `s3ferry init`)",
            keys.join(" and ")
        )
    };
    let tip = format!("pass the flags, or {write}");
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// Returns the error of a selected migration without a file.
pub(super) fn no_file() -> CliError {
    CliError::usage(
        format!("--name and --all select migrations of a file, and there is no {FILE_NAME} in this folder"),
        "write one with `s3ferry init`, or pass --migration PATH",
    )
}
