//! README says what the code does: variables, metrics, costs, and every test that the documents name.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use s3ferry_core::batch_operations::ARGUMENTS;
use s3ferry_functions::config::VARIABLES;
use s3ferry_functions::metrics::METRICS;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[track_caller]
fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the rows of the table under the heading, without its head.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = document
        .split_once(&format!("\n## {heading}\n"))
        .expect("the heading is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |line: &str| {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    section
        .lines()
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
fn readme_lists_every_variable_as_the_code_has_it() {
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
    assert_eq!(table(&read("README.md"), "Configuration of the replicator"), expected);
}

#[test]
fn readme_lists_every_metric_as_the_code_has_it() {
    let expected: Vec<Vec<String>> = METRICS
        .iter()
        .map(|metric| vec![code(metric.name), metric.unit.to_owned(), metric.meaning.to_owned()])
        .collect();
    assert_eq!(table(&read("README.md"), "Metrics"), expected);
}

#[test]
fn final_sync_page_lists_every_argument_as_the_code_has_it() {
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
    let page = read("docs/FINAL_SYNC.md");
    assert_eq!(table(&page, "What a job may ask for by itself"), expected);
}

#[test]
fn readme_adds_its_costs_up_correctly() {
    let cents = |dollars: f64| (dollars * 100.0).round();
    let number = |cell: &str| cell.trim_matches('*').parse::<f64>().expect("a number");
    let rows = table(&read("README.md"), "What it costs");
    let (sum, items) = rows.split_last().expect("a table");
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
        (cents(total) - cents(number(&sum[3]))).abs() < 0.5,
        "{total} is the sum"
    );
}

#[test]
fn runbook_adds_its_costs_up_correctly() {
    let cents = |dollars: &str| (dollars.trim_matches('*').parse::<f64>().expect("a number") * 100.0).round();
    let page = read("docs/RUNBOOK.md").replace("\n### ", "\n## ");
    let rows = table(&page, "What it costs");
    let (sum, items) = rows.split_last().expect("a table");
    for column in 1..sum.len() {
        let total: f64 = items.iter().map(|row| cents(&row[column])).sum();
        assert!((total - cents(&sum[column])).abs() < 0.5, "column {column}: {total}");
    }
}

/// Finds the names of all test functions of the repository, by the attribute above them.
fn tests_of(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests_of(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            let functions = text
                .lines()
                .filter_map(|line| line.trim().split_once("fn ")?.1.split('(').next());
            names.extend(functions.map(str::to_owned));
        }
    }
}

#[test]
fn documents_name_only_tests_and_files_that_exist() {
    let mut functions = BTreeSet::new();
    tests_of(&repository().join("crates"), &mut functions);
    tests_of(&repository().join("tests"), &mut functions);
    let mut named = 0;
    for document in [
        "README.md",
        "docs/SEMANTICS.md",
        "docs/ARCHITECTURE.md",
        "docs/FINAL_SYNC.md",
        "docs/CLI.md",
        "docs/RUNBOOK.md",
        "docs/VERIFY.md",
    ] {
        let text = read(document);
        for quoted in text.split('`').skip(1).step_by(2) {
            if let Some((_, test)) = quoted.split_once(".rs::") {
                assert!(functions.contains(test), "{document} names the test {test}");
                named += 1;
            } else if Path::new(quoted).extension().is_some_and(|extension| extension == "rs") && quoted.contains('/') {
                assert!(repository().join(quoted).exists(), "{document} names {quoted}");
            }
        }
    }
    assert!(named > 20, "the documents name their tests");
}
