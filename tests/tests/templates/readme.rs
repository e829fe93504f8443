//! Reads the tables of `infra/README.md`.

use super::cloudformation::text;

/// The rows of the first table below a heading, without its head.
pub(crate) fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = text("infra/README.md");
    let (_, section) = readme
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("infra/README.md has no heading {heading:?}"));
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

/// The words of a cell that are set as code.
pub(crate) fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
