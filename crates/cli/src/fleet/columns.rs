//! The commands that run for every migration of a file, with what the table shows of each summary.

/// A column of the table: a value of the command's summary, the last line of its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FleetColumn {
    /// Heading of the column.
    pub(crate) heading: &'static str,
    /// Place of the value in the summary, as a JSON pointer (RFC 6901).
    pub(crate) pointer: &'static str,
}

const fn column(heading: &'static str, pointer: &'static str) -> FleetColumn {
    FleetColumn { heading, pointer }
}

/// A command is added here. It needs nothing else, if it ends its JSON with a line that summarizes the run.
const COMMANDS: &[(&str, &[FleetColumn])] = &[
    (
        "preflight",
        &[
            column("ready", "/ready"),
            column("fail", "/fail"),
            column("warn", "/warn"),
            column("unknown", "/unknown"),
        ],
    ),
    (
        "status",
        &[
            column("verdict", "/verdict"),
            column("lag, s", "/lag_s"),
            column("lag from", "/lag_source"),
        ],
    ),
    (
        "verify",
        &[
            column("verdict", "/verdict"),
            column("keys", "/keys"),
            column("equal", "/equal"),
            column("different", "/different"),
            column("inconclusive", "/inconclusive"),
        ],
    ),
];

/// Returns the columns of a command; `None` if it runs one migration at a time.
pub(crate) fn columns(command: &str) -> Option<&'static [FleetColumn]> {
    let found = COMMANDS.iter().find(|(name, _)| *name == command);
    found.map(|(_, columns)| *columns)
}

/// Returns the names of the commands.
pub(crate) fn commands() -> Vec<&'static str> {
    COMMANDS.iter().map(|(name, _)| *name).collect()
}
