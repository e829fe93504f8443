//! docs/CLI.md: its flag tables are those of the commands, its exit codes those of the code.
//!
//! `UPDATE_DOCS=1 cargo nextest run --workspace -E 'binary(reference)'` rewrites the tables.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::ValueRange;
use clap::{Arg, Command, CommandFactory as _};
use s3ferry_cli::cli::Cli;
use s3ferry_cli::exit::{CliError, CommandOutcome};
use s3ferry_core::preflight::CHECKS;

const BEGIN: &str = "<!-- flags: ";
const END: &str = "<!-- end of flags -->";
const BEGIN_CHECKS: &str = "<!-- checks of preflight -->\n";
const END_CHECKS: &str = "<!-- end of checks -->";

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md")
}

fn text() -> String {
    std::fs::read_to_string(document()).expect("docs/CLI.md")
}

fn root() -> Command {
    let mut root = Cli::command();
    root.build();
    root
}

/// Finds a command by its words; no words are the shared options.
fn find<'a>(root: &'a Command, words: &str) -> &'a Command {
    let mut command = root;
    for word in words.split_whitespace() {
        command = command.find_subcommand(word).expect(word);
    }
    command
}

fn spelled(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes_values = arg.get_num_args().is_some_and(|count| count != ValueRange::EMPTY);
    match arg.get_long() {
        Some(long) if takes_values => format!("`--{long} {values}`"),
        Some(long) => format!("`--{long}`"),
        None => format!("`{values}`"),
    }
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut meaning = help.replace('|', "\\|");
    let values = arg.get_possible_values();
    let names: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
    if names.len() > 1 && arg.get_num_args() != Some(ValueRange::EMPTY) {
        let _written = write!(meaning, ": {}", names.join(", "));
    }
    let defaults = arg.get_default_values();
    let defaults: Vec<String> = defaults
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if arg.get_num_args() != Some(ValueRange::EMPTY) && defaults.iter().any(|value| !value.is_empty()) {
        let _written = write!(meaning, " (default `{}`)", defaults.join(","));
    }
    if arg.is_required_set() {
        meaning.push_str(" (required)");
    }
    meaning
}

fn table(command: &Command, is_shared: bool) -> String {
    let mut table = "| Flag | Meaning |\n|---|---|\n".to_owned();
    for arg in command.get_arguments() {
        if ["help", "version"].contains(&arg.get_id().as_str()) || arg.is_global_set() != is_shared {
            continue;
        }
        let _written = writeln!(table, "| {} | {} |", spelled(arg), meaning(arg));
    }
    table
}

/// Replaces every table between its markers; returns the text, and the commands that have a table.
fn with_tables(text: &str) -> (String, BTreeSet<String>) {
    let root = root();
    let mut commands = BTreeSet::new();
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (words, behind) = behind.split_once(" -->\n").expect("the end of a marker");
        let (_, behind) = behind.split_once(END).expect("the end of a table");
        let (words_of, is_shared) = if words == "shared" { ("", true) } else { (words, false) };
        let table = table(find(&root, words_of), is_shared);
        let _written = write!(written, "{before}{BEGIN}{words} -->\n\n{table}{END}");
        commands.insert(words.to_owned());
        rest = behind;
    }
    written.push_str(rest);
    (written, commands)
}

/// Replaces the table of the checks of `preflight`.
fn with_checks(text: &str) -> String {
    let (before, behind) = text.split_once(BEGIN_CHECKS).expect("the table of checks");
    let (_, behind) = behind.split_once(END_CHECKS).expect("the end of the table of checks");
    let mut table = "| ID | Finds | Why it matters |\n|---|---|---|\n".to_owned();
    for check in CHECKS {
        let _written = writeln!(table, "| `{}` | {} | {} |", check.id, check.finds, check.meaning);
    }
    format!("{before}{BEGIN_CHECKS}\n{table}{END_CHECKS}{behind}")
}

#[test]
fn flag_tables_are_those_of_the_commands_and_every_check_is_documented() {
    let text = text();
    let (expected, commands) = with_tables(&text);
    let expected = with_checks(&expected);
    let all = [
        "shared",
        "init",
        "deploy-parameters",
        "preflight",
        "sync",
        "diff",
        "manifest",
        "batch start",
        "batch status",
        "batch report",
        "verify",
        "status",
        "dlq list",
        "dlq redrive",
        "dlq drop",
        "cutover run",
        "cutover status",
        "cutover abort",
        "rollback",
        "finish",
        "certificate check",
        "completions",
        "man",
    ];
    assert_eq!(commands, all.map(str::to_owned).into(), "commands with a table");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(document(), expected).expect("docs/CLI.md");
    } else {
        assert!(
            text == expected,
            "docs/CLI.md is out of date: run this test with UPDATE_DOCS=1"
        );
    }
}

#[test]
fn exit_codes_are_those_of_the_code() {
    let text = text();
    let (_, table) = text.split_once("| Exit code |").expect("the table of exit codes");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<u8> = rows
        .map(|row| {
            row.split('|')
                .nth(1)
                .unwrap_or_default()
                .trim()
                .parse()
                .expect("an exit code")
        })
        .collect();
    let errors = [
        CliError::usage("", ""),
        CliError::setup("", ""),
        CliError::Bug(String::new()),
        CliError::Interrupted,
        CliError::OutputClosed,
    ];
    let outcomes = [CommandOutcome::Done, CommandOutcome::NotAll];
    let expected: BTreeSet<u8> = errors
        .iter()
        .map(CliError::code)
        .chain(outcomes.map(CommandOutcome::code))
        .collect();
    assert_eq!(documented, expected);
}
