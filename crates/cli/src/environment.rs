//! The environment variables of the process: the one module that reads them.

/// Returns the value of a variable, also an empty one.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the value of a variable. An empty one counts as not set.
pub(crate) fn non_empty(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}
