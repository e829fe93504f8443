//! Parser for the tables of the documents.

use super::cloudformation::text;

pub(crate) const CONFIGURATION: &str = "docs/CONFIGURATION.md";
pub(crate) const MIGRATION: &str = "docs/MIGRATION.md";
pub(crate) const RUNBOOK: &str = "docs/RUNBOOK.md";

/// Returns the rows of the first table below a heading of a document, without the header row.
pub(crate) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let page = text(document);
    let (_, section) = page
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("{document} has no heading {heading:?}"));
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// Returns the code spans of a cell.
pub(crate) fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
