//! The documents match the code: variables, metrics, user arguments, costs, and the tests that they name.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use s3ferry_core::batch_operations::ARGUMENTS;
use s3ferry_functions::config::VARIABLES;
use s3ferry_functions::metrics::METRICS;

const CONFIGURATION: &str = "docs/CONFIGURATION.md";
const MIGRATION: &str = "docs/MIGRATION.md";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[track_caller]
fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the rows of the tables below a heading, up to the next heading, without the first header row.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = document
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let cells = |line: &str| {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    section
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}

#[test]
fn configuration_lists_every_variable_as_the_code_has_it() {
    let expected: Vec<Vec<String>> = VARIABLES
        .iter()
        .map(|variable| {
            let required = if variable.required { "yes" } else { "no" };
            vec![
                code(variable.name),
                required.to_owned(),
                code(variable.default),
                variable.meaning.to_owned(),
            ]
        })
        .collect();
    assert_eq!(table(&read(CONFIGURATION), "## Environment variables"), expected);
}

#[test]
fn configuration_lists_every_metric_as_the_code_has_it() {
    let expected: Vec<Vec<String>> = METRICS
        .iter()
        .map(|metric| vec![code(metric.name), metric.unit.to_owned(), metric.meaning.to_owned()])
        .collect();
    assert_eq!(table(&read(CONFIGURATION), "## Metrics"), expected);
}

#[test]
fn configuration_lists_every_user_argument_as_the_code_has_it() {
    let expected: Vec<Vec<String>> = ARGUMENTS
        .iter()
        .map(|argument| {
            vec![
                code(argument.spelled),
                code(argument.short),
                argument.allowed.to_owned(),
            ]
        })
        .collect();
    assert_eq!(table(&read(CONFIGURATION), "## Final sync: user arguments"), expected);
}

#[test]
fn migration_totals_the_cost_of_replication_correctly() {
    let cents = |dollars: f64| (dollars * 100.0).round();
    let number = |cell: &str| cell.trim_matches('*').parse::<f64>().expect("a number");
    let rows = table(&read(MIGRATION), "### Cost of replication");
    let (total_row, items) = rows.split_last().expect("a table");
    let mut total = 0.0;
    for row in items {
        let cost = number(&row[3]);
        assert!(
            (cents(number(&row[1]) * number(&row[2])) - cents(cost)).abs() < 0.5,
            "{row:?}"
        );
        total += cost;
    }
    assert!(
        (cents(total) - cents(number(&total_row[3]))).abs() < 0.5,
        "the correct total is {total}"
    );
}

#[test]
fn migration_totals_the_cost_of_the_backfill_correctly() {
    let cents = |dollars: &str| (dollars.trim_matches('*').parse::<f64>().expect("a number") * 100.0).round();
    let rows = table(&read(MIGRATION), "### Cost of the backfill");
    let (total_row, items) = rows.split_last().expect("a table");
    for column in 1..total_row.len() {
        let total: f64 = items.iter().map(|row| cents(&row[column])).sum();
        assert!(
            (total - cents(&total_row[column])).abs() < 0.5,
            "column {column}: {total}"
        );
    }
}

/// The tables of engines and tools repeat the totals of the cost tables.
#[test]
fn migration_repeats_the_cost_totals_correctly() {
    let page = read(MIGRATION);
    let last = |heading: &str| table(&page, heading).pop().expect("a table");
    let replication = last("### Cost of replication").pop().expect("a total");
    let engines = table(&page, "### How new writes are replicated");
    let costs = engines.iter().find(|row| row[0].starts_with("Cost per million"));
    assert_eq!(costs.expect("the costs")[1], replication.trim_matches('*'));

    let backfill = last("### Cost of the backfill");
    let tools = table(&page, "### How existing objects are copied");
    for (tool, column) in [
        ("Final sync, S3 Batch Operations job", 1),
        ("Final sync, state machine", 2),
        ("`s3ferry sync`", 3),
        ("S3 Batch Operations, `copy`", 4),
    ] {
        let row = tools.iter().find(|row| row[0] == tool).expect(tool);
        assert_eq!(row[2], backfill[column].trim_matches('*'), "{tool}");
    }
}

/// Returns whether a line separates the header row of a table from the other rows.
fn is_ruler(line: &str) -> bool {
    line.starts_with("|---")
}

/// A fact in two tables becomes outdated in one of them.
#[test]
fn no_table_row_occurs_in_two_documents() {
    let mut seen = BTreeSet::new();
    for document in [
        "README.md",
        CONFIGURATION,
        MIGRATION,
        "docs/RUNBOOK.md",
        "infra/README.md",
    ] {
        let text = read(document);
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let is_head = lines.get(index + 1).is_some_and(|next| is_ruler(next));
            if line.starts_with('|') && !is_ruler(line) && !is_head {
                assert!(seen.insert((*line).to_owned()), "{document} repeats {line}");
            }
        }
    }
}

/// Adds the files below a folder with this extension to `found`.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|actual| actual == extension) {
            found.push(path);
        }
    }
}

/// Returns all documents.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["docs", "crates"] {
        files(&repository().join(folder), "md", &mut found);
    }
    for name in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "fuzz/README.md",
        "infra/README.md",
    ] {
        found.push(repository().join(name));
    }
    found
}

/// Returns a document without its code blocks.
fn prose(document: &str) -> String {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Returns the names of a source file's test functions: those with `#[test]` or `#[tokio::test]`, in `proptest!` too.
fn tests_of(source: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(function) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")
            && std::mem::take(&mut is_test)
        {
            tests.extend(function.split(['(', '<']).next().map(str::to_owned));
        }
    }
    tests
}

/// Returns the anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'))
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

#[test]
fn documents_name_only_tests_and_files_that_exist() {
    let mut sources = Vec::new();
    for folder in ["crates", "tests"] {
        files(&repository().join(folder), "rs", &mut sources);
    }
    let tests: BTreeSet<String> = sources.iter().flat_map(|source| tests_of(&read(source))).collect();
    let mut named = 0;
    for document in documents() {
        let (text, document) = (prose(&read(&document)), document.display());
        for quoted in text.split('`').skip(1).step_by(2) {
            if let Some((file, test)) = quoted.split_once(".rs::") {
                let source = read(format!("{file}.rs"));
                assert!(tests_of(&source).contains(test), "{document}: {quoted} is no test");
                named += 1;
            } else if quoted.contains('/') && Path::new(quoted).extension().is_some_and(|extension| extension == "rs") {
                assert!(
                    repository().join(quoted).exists(),
                    "{document}: {quoted} does not exist"
                );
            } else {
                assert!(!tests.contains(quoted), "{document}: name the file of {quoted}");
            }
        }
    }
    assert!(named > 200, "{named} tests are named");
}

#[test]
fn documents_link_only_to_what_exists() {
    for document in documents() {
        let text = prose(&read(&document));
        let folder = document.parent().expect("a document is in a folder");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                document.clone()
            } else {
                folder.join(path)
            };
            assert!(target.exists(), "{}: {link} does not exist", document.display());
            if !fragment.is_empty() {
                let headings = prose(&read(&target));
                let mut headings = headings.lines().filter(|line| line.starts_with('#'));
                let is_there = headings.any(|heading| anchor(heading) == fragment);
                assert!(is_there, "{}: {link} has no such heading", document.display());
            }
        }
    }
}
