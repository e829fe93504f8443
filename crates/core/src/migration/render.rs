//! Writes a migration file, with comments that explain every key.

use std::collections::BTreeMap;

use super::keys::{FileKey, KEYS, KeyKind, SCHEMA};
use super::{FILL_IN, MigrationValues};
use crate::policy::kms_keys;

/// The width of comments.
const COLUMNS: usize = 100;

const HEAD: &str = "\
# Migration file of s3ferry. Every command in this folder reads it, so that `s3ferry sync`, `s3ferry verify` and the
# others need no flags. A flag has priority over the file: the key source_region is the flag --source-region.
# To set a key, remove the `#` before it. docs/CONFIGURATION.md describes the file.
";

/// Headings, by the first key below each.
const HEADINGS: &[(&str, &str)] = &[
    ("name", "Buckets"),
    ("stack", "Stacks"),
    ("replication_engine", "Replication"),
    ("storage_class", "Copies"),
    ("alarm_email", "Operation"),
];

const TABLES: [(&str, &str, &str); 2] = [
    (
        "source_parameters",
        "Other parameters of the source stack, by their names in infra/source.yaml.",
        "LogRetentionDays = 90",
    ),
    (
        "destination_parameters",
        "Other parameters of the destination stack, by their names in infra/destination.yaml.",
        "NoncurrentVersionExpirationDays = 30",
    ),
];

const SEVERAL: &str = "\
# Several migrations: write a table for each, with the keys that only it has. Keys above the first table are shared.
# Commands then take --name NAME, and some also --all, such as `s3ferry verify --all`.
#
# [[migration]]
# name = \"photos\"
# source = \"s3://photos-us\"
# destination = \"s3://photos-eu\"
";

impl MigrationValues {
    /// Returns the file of one migration. A bucket that is not known is left to be filled in.
    #[must_use]
    pub fn render(&self) -> String {
        let mut lines = vec![HEAD.to_owned(), format!("schema = {SCHEMA}")];
        for key in KEYS {
            if let Some((_, heading)) = HEADINGS.iter().find(|(first, _)| *first == key.name) {
                lines.push(format!("\n# {heading} {}", "-".repeat(COLUMNS - heading.len() - 3)));
            }
            lines.push(String::new());
            lines.extend(comment(key));
            lines.push(self.line(key));
        }
        for (name, meaning, example) in TABLES {
            let values = match name {
                "source_parameters" => &self.source_parameters,
                _ => &self.destination_parameters,
            };
            lines.push(format!("\n# {meaning}"));
            lines.push(if values.is_empty() {
                format!("# [{name}]\n# {example}")
            } else {
                format!("[{name}]")
            });
            let values = values.iter();
            lines.extend(values.map(|(parameter, value)| format!("{parameter} = {}", quoted(value))));
        }
        lines.push(format!("\n{SEVERAL}"));
        lines.join("\n")
    }

    fn line(&self, key: &FileKey) -> String {
        let name = key.name;
        match (self.get(name), key.kind) {
            (Some(value), KeyKind::Boolean | KeyKind::Integer(..)) => format!("{name} = {value}"),
            (Some(value), KeyKind::KmsKeyMap) => format!("{name} = {}", inline_table(value)),
            (Some(value), _) => format!("{name} = {}", quoted(value)),
            (None, KeyKind::Location) => format!("{name} = \"s3://{FILL_IN}\""),
            (None, _) => format!("# {name} = {}", key.example),
        }
    }
}

/// Returns the meaning and the default of a key as lines of a comment.
fn comment(key: &FileKey) -> Vec<String> {
    let default = match key.default {
        "" => String::new(),
        default => format!(" Default: {default}."),
    };
    let mut lines = Vec::new();
    let mut line = String::from("#");
    for word in format!("{}{default}", key.meaning).split(' ') {
        if line.len() + 1 + word.len() > COLUMNS {
            lines.push(std::mem::replace(&mut line, String::from("#")));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Quotes a text as a basic string of TOML. The escapes of JSON are escapes of TOML too.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{7f}', "\\u007F")
}

fn inline_table(map: &str) -> String {
    let pairs: BTreeMap<String, String> = kms_keys(map).unwrap_or_default().into_iter().collect();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(source, copy)| format!("{} = {}", quoted(source), quoted(copy)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}
