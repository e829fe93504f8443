//! User arguments of a job: the settings that one job overrides.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{RequestFormatError, shortened};
use crate::facts::{Attribute, AttributeSet};

/// Name of a user argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobArgumentName {
    /// Ownership of the destination: which writers it has.
    Ownership,
    /// Whether deletes of the source are propagated.
    PropagateDeletes,
    /// Storage class of copies.
    StorageClass,
    /// Attributes that are compared.
    CompareAttributes,
}

/// A user argument that s3ferry supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobArgument {
    /// Identity of the argument.
    pub name: JobArgumentName,
    /// Canonical spelling. Hyphens, underscores and case are ignored.
    pub spelled: &'static str,
    /// Short spelling.
    pub short: &'static str,
    /// Description of the allowed values.
    pub allowed: &'static str,
}

/// All supported arguments. A test compares the documentation with this table.
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
    /// Returns the canonical spelling of the argument.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ownership => "ownership",
            Self::PropagateDeletes => "propagate-deletes",
            Self::StorageClass => "storage-class",
            Self::CompareAttributes => "compare-attributes",
        }
    }

    /// Returns the error for a value that the argument does not allow.
    #[must_use]
    pub fn refused(self, value: &str, problem: impl Into<String>) -> RequestFormatError {
        RequestFormatError::ArgumentValue {
            name: self.as_str(),
            value: shortened(value, 100),
            problem: problem.into(),
        }
    }
}

/// Arguments of a job, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobArguments(BTreeMap<JobArgumentName, String>);

impl JobArguments {
    /// Returns the value of an argument.
    #[must_use]
    pub fn get(&self, name: JobArgumentName) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Parses the user arguments of a job. `field` is their JSON path, which errors name.
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

/// Removes hyphens, underscores and case from a name: `PROPAGATE_DELETES` and `propagateDeletes` become equal.
pub(super) fn plain_name(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Which attributes are compared before two objects count as equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttributeDepth {
    /// The attributes in the HEAD responses, and tags if these indicate a possible difference.
    #[default]
    AsNeeded,
    /// Also the attributes that a HEAD response does not contain, read on both sides.
    Always,
}

impl AttributeDepth {
    /// Parses the value of the argument.
    pub fn parse(value: &str) -> Result<Self, RequestFormatError> {
        match value {
            "as-needed" => Ok(Self::AsNeeded),
            "always" => Ok(Self::Always),
            other => Err(JobArgumentName::CompareAttributes.refused(other, "allowed: as-needed, always")),
        }
    }

    /// Returns the attributes that are read for every key, whatever its HEAD response contains.
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
