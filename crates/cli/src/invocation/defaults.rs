//! The values of a migration as defaults of flags.

use s3ferry_core::location::Location;
use s3ferry_core::migration::Migration;
use s3ferry_core::migration::keys::{KeyScope, find_key};

use super::given::{GivenArguments, key_of};

/// Values that a command spells in another way: flag, value of the file, value of the flag.
const SPELLINGS: &[(&str, &str, &str)] = &[
    // `verify` compares the grants that `sync` copies.
    ("acl", "copy", "compare"),
];

/// Commands whose flags are required, or have a group, only with another flag: they get the values as arguments. Command,
/// flag, its value, and the flags that it requires.
const REQUIRED_WITH: &[(&str, &str, &str, &[&str])] = &[(
    "batch start",
    "operation",
    "copy",
    &["destination", "destination_region"],
)];

/// Defaults of a command's arguments.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    /// Id and value.
    values: Vec<(String, String)>,
    /// Further arguments.
    pub(super) arguments: Vec<String>,
}

impl Defaults {
    /// Returns the values of the flags that are not given.
    pub(super) fn of(given: &GivenArguments, migration: Option<&Migration>) -> Self {
        let mut defaults = Self::default();
        for arg in given.command.get_arguments() {
            let Some(key) = key_of(arg) else { continue };
            if given.is_given(arg.get_id()) {
                continue;
            }
            let positional = match key {
                "source" | "destination" => given.text(&format!("positional_{key}")),
                _ => None,
            };
            let of_file = || {
                let value = migration
                    .filter(|migration| applies(key, given, migration))?
                    .value(key)?;
                (!contradicts(arg, given)).then(|| spelled(arg, key, value))
            };
            if let Some(value) = positional.or_else(of_file) {
                defaults.add(arg, value, given);
            }
        }
        defaults
    }

    fn add(&mut self, arg: &clap::Arg, value: String, given: &GivenArguments) {
        let (id, command) = (arg.get_id().as_str(), given.path.join(" "));
        let is_required = REQUIRED_WITH.iter().any(|(of, flag, text, required)| {
            *of == command && required.contains(&id) && given.text(flag).as_deref() == Some(*text)
        });
        if is_required {
            self.arguments.push(format!("--{}={value}", id.replace('_', "-")));
        } else {
            self.values.push((id.to_owned(), value));
        }
    }

    /// Returns the command with the defaults.
    pub(super) fn apply(&self, command: clap::Command, path: &[String]) -> clap::Command {
        match path.split_first() {
            Some((first, rest)) => command.mut_subcommand(first, |inner| self.apply(inner, rest)),
            None => self.values.iter().fold(command, |command, (id, value)| {
                command.mut_arg(id, |arg| arg.required(false).default_value(value.clone()))
            }),
        }
    }
}

/// Returns whether the value of a key is of the buckets that the arguments name.
fn applies(key: &str, given: &GivenArguments, migration: &Migration) -> bool {
    let is_of = |side: &str, location: &Location| match given.location(side).map(|text| text.parse::<Location>()) {
        Some(Ok(named)) => named.bucket == location.bucket,
        Some(Err(_)) | None => true,
    };
    let is_source = is_of("source", &migration.source);
    let is_destination = is_of("destination", &migration.destination);
    match find_key(key).map(|key| key.scope) {
        // Nothing is copied between a bucket of the file and one of the arguments, unless both are arguments.
        _ if key == "source" => is_destination,
        _ if key == "destination" => is_source,
        Some(KeyScope::Source) => is_source,
        Some(KeyScope::Destination) => is_destination,
        Some(KeyScope::Pair) => is_source && is_destination,
        Some(KeyScope::Copies) | None => true,
    }
}

/// Returns whether a given argument conflicts with this one.
fn contradicts(arg: &clap::Arg, given: &GivenArguments) -> bool {
    let command = &given.command;
    let conflicts = |one: &clap::Arg, other: &clap::Arg| {
        let conflicts = command.get_arg_conflicts_with(one);
        conflicts.iter().any(|conflict| conflict.get_id() == other.get_id())
    };
    let mut others = command.get_arguments().filter(|other| !other.is_global_set());
    others.any(|other| given.is_given(other.get_id()) && (conflicts(arg, other) || conflicts(other, arg)))
}

fn spelled(arg: &clap::Arg, key: &str, value: &str) -> String {
    let allowed = arg.get_possible_values();
    if allowed.is_empty() || allowed.iter().any(|allowed| allowed.matches(value, false)) {
        return value.to_owned();
    }
    let spelling = SPELLINGS.iter().find(|(of, from, _)| *of == key && *from == value);
    spelling.map_or(value, |(_, _, to)| to).to_owned()
}
