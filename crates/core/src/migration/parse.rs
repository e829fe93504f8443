//! Reads a migration file. All problems are found at once, each with its line.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::check::check_migrations;
use super::keys::{FileKey, KEYS, KeyKind, SCHEMA, closest, find_key};
use super::parameters::{DESTINATION_PARAMETERS, SOURCE_PARAMETERS, StackParameter};
use super::{FILL_IN, Migration, MigrationFile, MigrationFileProblem, MigrationValues};
use crate::location::Location;

/// The keys of the file that are no values of a migration.
const STRUCTURE: [&str; 4] = ["schema", "migration", "source_parameters", "destination_parameters"];

/// Values as they are read, with the lines that they are in.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadValues {
    pub(super) values: MigrationValues,
    /// The line of each key, and of the migration itself under an empty name.
    pub(super) lines: BTreeMap<&'static str, usize>,
}

impl ReadValues {
    /// Returns the line of a key, or else of the migration.
    pub(super) fn line(&self, key: &str) -> usize {
        let line = self.lines.get(key).or_else(|| self.lines.get(""));
        line.copied().unwrap_or(1)
    }

    fn or(mut self, shared: &Self) -> Self {
        let of = |own: &mut BTreeMap<&'static str, String>, shared: &BTreeMap<&'static str, String>| {
            for (name, value) in shared {
                own.entry(name).or_insert_with(|| value.clone());
            }
        };
        of(&mut self.values.keys, &shared.values.keys);
        of(&mut self.values.source_parameters, &shared.values.source_parameters);
        of(
            &mut self.values.destination_parameters,
            &shared.values.destination_parameters,
        );
        for (name, line) in &shared.lines {
            self.lines.entry(name).or_insert(*line);
        }
        self
    }
}

/// A migration with the lines of its values.
pub(super) struct ReadMigration {
    pub(super) migration: Migration,
    pub(super) read: ReadValues,
}

struct Reader<'a> {
    text: &'a str,
    problems: Vec<MigrationFileProblem>,
}

impl MigrationFile {
    /// Reads a file. Returns all problems, in the order of their lines.
    pub fn parse(text: &str) -> Result<Self, Vec<MigrationFileProblem>> {
        let mut reader = Reader {
            text,
            problems: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().unwrap_or_default();
            reader.problem(
                &at,
                format!("not TOML: {}", error.message()),
                "correct the line".to_owned(),
            );
        }
        // What was recovered of a broken file says little about the file that was meant.
        let migrations = if reader.problems.is_empty() {
            reader.file(table.get_ref())
        } else {
            Vec::new()
        };
        if reader.problems.is_empty() {
            reader.problems = check_migrations(&migrations);
        }
        if reader.problems.is_empty() {
            let migrations = migrations.into_iter().map(|read| read.migration).collect();
            return Ok(Self { migrations });
        }
        reader.problems.sort();
        reader.problems.dedup();
        Err(reader.problems)
    }
}

impl Reader<'_> {
    fn line(&self, at: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        String::from_utf8_lossy(before).matches('\n').count() + 1
    }

    fn problem(&mut self, at: &Range<usize>, what: String, next: String) {
        let line = self.line(at);
        self.problems.push(MigrationFileProblem { line, what, next });
    }

    fn file(&mut self, table: &DeTable<'_>) -> Vec<ReadMigration> {
        self.schema(table);
        let mut shared = self.values(table, true);
        let list = table.iter().find(|(name, _)| name.get_ref() == "migration");
        let Some((_, list)) = list else {
            shared.lines.insert("", 1);
            return self.migration(shared).into_iter().collect();
        };
        let Some(list) = list.get_ref().as_array().filter(|list| !list.is_empty()) else {
            self.problem(
                &list.span(),
                "`migration` must be a list of tables".to_owned(),
                "begin each migration with a line `[[migration]]`".to_owned(),
            );
            return Vec::new();
        };
        self.belongs_to_one(&shared);
        self.list(list, &shared)
    }

    fn list(&mut self, list: &DeArray<'_>, shared: &ReadValues) -> Vec<ReadMigration> {
        let mut migrations = Vec::new();
        for entry in list {
            let Some(table) = entry.get_ref().as_table() else {
                self.problem(
                    &entry.span(),
                    "each `migration` must be a table".to_owned(),
                    "begin each migration with a line `[[migration]]`".to_owned(),
                );
                continue;
            };
            let mut own = self.values(table, false);
            own.lines.insert("", self.line(&entry.span()));
            if !own.values.keys.contains_key("name") && !table.contains_key("name") {
                self.problem(
                    &entry.span(),
                    "`name` is missing: each of several migrations has a name".to_owned(),
                    "add a line such as name = \"photos\"".to_owned(),
                );
            }
            migrations.extend(self.migration(own.or(shared)));
        }
        migrations
    }

    /// Requires the version of the file's form.
    fn schema(&mut self, table: &DeTable<'_>) {
        let found = table.iter().find(|(name, _)| name.get_ref() == "schema");
        let next = format!("write schema = {SCHEMA} at the beginning of the file");
        let Some((_, value)) = found else {
            self.problem(&(0..0), "`schema` is missing".to_owned(), next);
            return;
        };
        match integer(value.get_ref()) {
            Some(SCHEMA) => {}
            Some(newer) if newer > SCHEMA => self.problem(
                &value.span(),
                format!("schema {newer} is newer than this s3ferry, which reads schema {SCHEMA}"),
                "use a newer s3ferry".to_owned(),
            ),
            _ => self.problem(&value.span(), format!("`schema` must be {SCHEMA}"), next),
        }
    }

    /// Refuses shared values that only one migration can have.
    fn belongs_to_one(&mut self, shared: &ReadValues) {
        for key in ["name", "source", "destination", "stack", "destination_stack"] {
            if let Some(line) = shared.lines.get(key) {
                self.problems.push(MigrationFileProblem {
                    line: *line,
                    what: format!("`{key}` is above [[migration]], where values are shared by all migrations"),
                    next: format!("move `{key}` below the line [[migration]] of its migration"),
                });
            }
        }
    }

    /// Reads the values of a table.
    fn values(&mut self, table: &DeTable<'_>, is_file: bool) -> ReadValues {
        let mut read = ReadValues::default();
        for (name, value) in table {
            let text = name.get_ref().as_ref();
            match text {
                "source_parameters" => {
                    read.values.source_parameters = self.parameters(value, text, SOURCE_PARAMETERS);
                }
                "destination_parameters" => {
                    read.values.destination_parameters = self.parameters(value, text, DESTINATION_PARAMETERS);
                }
                "schema" | "migration" if is_file => {}
                _ => match find_key(text) {
                    Some(key) => {
                        read.lines.insert(key.name, self.line(&name.span()));
                        if let Some(value) = self.value(key, value) {
                            read.values.keys.insert(key.name, value);
                        }
                    }
                    None => self.unknown(&name.span(), text),
                },
            }
        }
        read
    }

    fn unknown(&mut self, at: &Range<usize>, name: &str) {
        let parameter =
            |parameters: &[StackParameter]| parameters.iter().find(|parameter| parameter.name == name).copied();
        let source = parameter(SOURCE_PARAMETERS);
        let table = if source.is_some() {
            "source_parameters"
        } else {
            "destination_parameters"
        };
        let next = match source.or_else(|| parameter(DESTINATION_PARAMETERS)) {
            Some(StackParameter { key: Some(key), .. }) => format!("write it as `{key}`"),
            Some(_) => format!("move it into the table [{table}]"),
            None => match closest(name, KEYS.iter().map(|key| key.name).chain(STRUCTURE)) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => "remove it; docs/CONFIGURATION.md lists the keys".to_owned(),
            },
        };
        self.problem(at, format!("unknown key `{name}`"), next);
    }

    /// Reads the value of a key as text.
    fn value(&mut self, key: &FileKey, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let name = key.name;
        let example = || format!("write it as in {name} = {}", key.example);
        let text = match (key.kind, value.get_ref()) {
            (KeyKind::Boolean, DeValue::Boolean(value)) => Some(value.to_string()),
            (KeyKind::Integer(..), number @ DeValue::Integer(_)) => integer(number).map(|number| number.to_string()),
            (KeyKind::KmsKeyMap, DeValue::Table(pairs)) => json_object(pairs),
            (KeyKind::Boolean | KeyKind::Integer(..) | KeyKind::KmsKeyMap, _) => None,
            (_, value) => value.as_str().map(str::to_owned),
        };
        let Some(text) = text else {
            let found = match value.get_ref() {
                DeValue::Integer(_) => "that number",
                other => other.type_str(),
            };
            let kind = key.kind.toml_type();
            self.problem(
                &value.span(),
                format!("`{name}` must be {kind}, not {found}"),
                example(),
            );
            return None;
        };
        if text.contains(FILL_IN) {
            let next = format!("replace it, as in {name} = {}", key.example);
            self.problem(&value.span(), format!("`{name}` is not filled in: {text}"), next);
            return None;
        }
        if let Err(allowed) = key.kind.check(&text) {
            let next = match key.kind {
                KeyKind::OneOf(words) => match closest(&text, words.iter().copied()) {
                    Some(similar) => format!("did you mean \"{similar}\"?"),
                    None => example(),
                },
                _ => example(),
            };
            self.problem(&value.span(), format!("`{name}` = `{text}`: {allowed}"), next);
            return None;
        }
        Some(text)
    }

    /// Reads a table of parameters that have no key.
    fn parameters(
        &mut self,
        table: &Spanned<DeValue<'_>>,
        name: &str,
        known: &'static [StackParameter],
    ) -> BTreeMap<&'static str, String> {
        let mut read = BTreeMap::new();
        let Some(entries) = table.get_ref().as_table() else {
            self.problem(
                &table.span(),
                format!("`{name}` must be a table of template parameters"),
                format!("begin it with a line [{name}]"),
            );
            return read;
        };
        for (parameter, value) in entries {
            let text = parameter.get_ref().as_ref();
            let found = known.iter().find(|known| known.name == text);
            let value = match value.get_ref() {
                DeValue::String(value) => Some(value.to_string()),
                DeValue::Boolean(value) => Some(value.to_string()),
                number => integer(number).map(|number| number.to_string()),
            };
            let (what, next) = match (found, value) {
                (Some(StackParameter { key: Some(key), .. }), _) => (
                    format!("the parameter `{text}` has a key of its own"),
                    format!("write it as `{key}`, outside of [{name}]"),
                ),
                (Some(parameter), Some(value)) => {
                    read.insert(parameter.name, value);
                    continue;
                }
                (Some(_), None) => (
                    format!("`{text}` must be a string, a number, true or false"),
                    "correct the value".to_owned(),
                ),
                (None, _) => {
                    let names = known.iter().filter(|known| known.key.is_none()).map(|known| known.name);
                    let next = match closest(text, names) {
                        Some(similar) => format!("did you mean `{similar}`?"),
                        None => "remove it; docs/CONFIGURATION.md lists the parameters".to_owned(),
                    };
                    (format!("unknown parameter `{text}` in [{name}]"), next)
                }
            };
            self.problem(&parameter.span(), what, next);
        }
        read
    }

    /// Requires both buckets.
    fn migration(&mut self, read: ReadValues) -> Option<ReadMigration> {
        let mut locations = ["source", "destination"].map(|key| {
            let text = read.values.get(key);
            if text.is_none() && !read.lines.contains_key(key) {
                self.problems.push(MigrationFileProblem {
                    line: read.line(""),
                    what: format!("`{key}` is missing"),
                    next: format!("add a line such as {key} = \"s3://my-bucket\""),
                });
            }
            text.and_then(|text| text.parse::<Location>().ok())
        });
        let [source, destination] = &mut locations;
        let migration = Migration {
            source: source.take()?,
            destination: destination.take()?,
            values: read.values.clone(),
        };
        Some(ReadMigration { migration, read })
    }
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str().trim_start_matches('+'), number.radix()).ok()
}

/// Converts a table of texts to JSON, as flags and parameters have it.
fn json_object(pairs: &DeTable<'_>) -> Option<String> {
    let pairs = pairs
        .iter()
        .map(|(key, value)| Some((key.get_ref().as_ref(), value.get_ref().as_str()?)));
    let pairs: Option<BTreeMap<&str, &str>> = pairs.collect();
    serde_json::to_string(&pairs?).ok()
}
