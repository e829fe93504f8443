//! What one job may ask for by itself, in its user arguments.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BatchError, shortened};
use crate::facts::{Aspect, Aspects};

/// Names an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArgumentName {
    /// Who writes to the destination.
    Ownership,
    /// Whether deletes are followed.
    PropagateDeletes,
    /// The storage class of copies.
    StorageClass,
    /// What is compared.
    ComparisonDepth,
}

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Which one it is.
    pub name: ArgumentName,
    /// How it is spelled; hyphens, underscores and capitals make no difference.
    pub spelled: &'static str,
    /// A shorter spelling.
    pub short: &'static str,
    /// What it takes.
    pub allowed: &'static str,
}

/// Every argument; the documentation is tested against this table.
pub const ARGUMENTS: &[Argument] = &[
    Argument {
        name: ArgumentName::Ownership,
        spelled: "ownership",
        short: "ownership",
        allowed: "values of `OWNERSHIP`",
    },
    Argument {
        name: ArgumentName::PropagateDeletes,
        spelled: "propagate-deletes",
        short: "deletes",
        allowed: "values of `PROPAGATE_DELETES`",
    },
    Argument {
        name: ArgumentName::StorageClass,
        spelled: "storage-class",
        short: "storage-class",
        allowed: "values of `STORAGE_CLASS`",
    },
    Argument {
        name: ArgumentName::ComparisonDepth,
        spelled: "compare-attributes",
        short: "attributes",
        allowed: "`as-needed`, `always`",
    },
];

impl ArgumentName {
    /// Returns how the argument is spelled.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ownership => "ownership",
            Self::PropagateDeletes => "propagate-deletes",
            Self::StorageClass => "storage-class",
            Self::ComparisonDepth => "compare-attributes",
        }
    }

    /// Makes the error of a value that the argument cannot have.
    #[must_use]
    pub fn refused(self, value: &str, problem: impl Into<String>) -> BatchError {
        BatchError::ArgumentValue {
            name: self.as_str(),
            value: shortened(value, 100),
            problem: problem.into(),
        }
    }
}

/// The arguments of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments(BTreeMap<ArgumentName, String>);

impl Arguments {
    /// Returns an argument's value.
    #[must_use]
    pub fn get(&self, name: ArgumentName) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Reads what a job was given; `field` is where.
    pub fn parse(value: Option<&Value>, field: &str) -> Result<Self, BatchError> {
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
                return Err(BatchError::UnknownArgument {
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
                return Err(BatchError::RepeatedArgument { name: known.spelled });
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
pub enum Depth {
    /// What a HEAD shows, and tags where it hints at a difference.
    #[default]
    Head,
    /// What a HEAD does not show as well, read on both sides.
    Deep,
}

impl Depth {
    /// Reads the value of the argument.
    pub fn parse(value: &str) -> Result<Self, BatchError> {
        match value {
            "as-needed" => Ok(Self::Head),
            "always" => Ok(Self::Deep),
            other => Err(ArgumentName::ComparisonDepth.refused(other, "allowed: as-needed, always")),
        }
    }

    /// Returns the aspects that are read for every key, whatever its HEAD says.
    #[must_use]
    pub fn aspects(self) -> Aspects {
        match self {
            Self::Head => Aspects::new(),
            Self::Deep => Aspects::from([Aspect::Tags, Aspect::Annotations, Aspect::Acl, Aspect::Lock]),
        }
    }
}
