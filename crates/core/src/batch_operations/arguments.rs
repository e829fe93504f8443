//! What one job may ask for by itself, in its user arguments.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{RequestFormatError, shortened};
use crate::facts::{Attribute, AttributeSet};

/// Names an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobArgumentName {
    /// Who writes to the destination.
    Ownership,
    /// Whether deletes are followed.
    PropagateDeletes,
    /// The storage class of copies.
    StorageClass,
    /// What is compared.
    CompareAttributes,
}

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobArgument {
    /// Which one it is.
    pub name: JobArgumentName,
    /// How it is spelled; hyphens, underscores and capitals make no difference.
    pub spelled: &'static str,
    /// A shorter spelling.
    pub short: &'static str,
    /// What it takes.
    pub allowed: &'static str,
}

/// Every argument; the documentation is tested against this table.
pub const ARGUMENTS: &[JobArgument] = &[
    JobArgument {
        name: JobArgumentName::Ownership,
        spelled: "ownership",
        short: "ownership",
        allowed: "values of `OWNERSHIP`",
    },
    JobArgument {
        name: JobArgumentName::PropagateDeletes,
        spelled: "propagate-deletes",
        short: "deletes",
        allowed: "values of `PROPAGATE_DELETES`",
    },
    JobArgument {
        name: JobArgumentName::StorageClass,
        spelled: "storage-class",
        short: "storage-class",
        allowed: "values of `STORAGE_CLASS`",
    },
    JobArgument {
        name: JobArgumentName::CompareAttributes,
        spelled: "compare-attributes",
        short: "attributes",
        allowed: "`as-needed`, `always`",
    },
];

impl JobArgumentName {
    /// Returns how the argument is spelled.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ownership => "ownership",
            Self::PropagateDeletes => "propagate-deletes",
            Self::StorageClass => "storage-class",
            Self::CompareAttributes => "compare-attributes",
        }
    }

    /// Makes the error of a value that the argument cannot have.
    #[must_use]
    pub fn refused(self, value: &str, problem: impl Into<String>) -> RequestFormatError {
        RequestFormatError::ArgumentValue {
            name: self.as_str(),
            value: shortened(value, 100),
            problem: problem.into(),
        }
    }
}

/// The arguments of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobArguments(BTreeMap<JobArgumentName, String>);

impl JobArguments {
    /// Returns an argument's value.
    #[must_use]
    pub fn get(&self, name: JobArgumentName) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Reads what a job was given; `field` is where.
    pub fn parse(value: Option<&Value>, field: &str) -> Result<Self, RequestFormatError> {
        let mut arguments = Self::default();
        let given = match value {
            None | Some(Value::Null) => return Ok(arguments),
            Some(Value::Object(given)) => given,
            Some(other) => return Err(super::request::unexpected(field, Some(other), "an object of strings")),
        };
        for (name, value) in given {
            let known = ARGUMENTS.iter().find(|argument| {
                let plain = plain_name(name);
                plain == plain_name(argument.spelled) || plain == plain_name(argument.short)
            });
            let Some(known) = known else {
                return Err(RequestFormatError::UnknownArgument {
                    name: shortened(name, 100),
                    allowed: ARGUMENTS
                        .iter()
                        .map(|argument| argument.spelled)
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            };
            let Value::String(value) = value else {
                let field = format!("{field}.{}", known.spelled);
                return Err(super::request::unexpected(&field, Some(value), "a string"));
            };
            if arguments.0.insert(known.name, value.clone()).is_some() {
                return Err(RequestFormatError::RepeatedArgument { name: known.spelled });
            }
        }
        Ok(arguments)
    }
}

/// Spells a name without what makes no difference: `PROPAGATE_DELETES` is `propagateDeletes` is `propagate-deletes`.
pub(super) fn plain_name(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

/// What is compared of two objects before they are called equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttributeDepth {
    /// What a HEAD shows, and tags where it hints at a difference.
    #[default]
    AsNeeded,
    /// What a HEAD does not show as well, read on both sides.
    Always,
}

impl AttributeDepth {
    /// Reads the value of the argument.
    pub fn parse(value: &str) -> Result<Self, RequestFormatError> {
        match value {
            "as-needed" => Ok(Self::AsNeeded),
            "always" => Ok(Self::Always),
            other => Err(JobArgumentName::CompareAttributes.refused(other, "allowed: as-needed, always")),
        }
    }

    /// Returns the aspects that are read for every key, whatever its HEAD says.
    #[must_use]
    pub fn attributes(self) -> AttributeSet {
        match self {
            Self::AsNeeded => AttributeSet::new(),
            Self::Always => {
                AttributeSet::from([Attribute::Tags, Attribute::Annotations, Attribute::Acl, Attribute::Lock])
            }
        }
    }
}
