//! The concurrency of a command: a number, or adapted to what S3 serves.

use clap::Args;
use s3ferry_aws::concurrency::{ConcurrencyLimit, LimitedRequests};
use s3ferry_core::concurrency::MAX_CONCURRENCY;

/// Open files that a command needs besides its connections.
const OTHER_FILES: u64 = 128;

/// Open files for one request at the highest concurrency: its connection, and that of a read of another key.
const FILES_PER_REQUEST: u64 = 2;

/// Objects that a comparison has in progress if its concurrency adapts. Each has a request per bucket in flight.
const READS_IN_PROGRESS: u16 = MAX_CONCURRENCY / 2;

/// The arguments of the concurrency.
#[derive(Debug, Clone, Args)]
pub struct ConcurrencyArgs {
    /// Copies in flight, or objects that are read at once, 1 to 1024 [default: starts at 64 and adapts up to 1024]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CONCURRENCY)))]
    pub concurrency: Option<u16>,
}

impl ConcurrencyArgs {
    /// Returns the limit of the copies in flight.
    #[must_use]
    pub fn of_copies(&self) -> ConcurrencyLimit {
        match self.concurrency {
            Some(level) => ConcurrencyLimit::fixed(level, LimitedRequests::Copies),
            None => ConcurrencyLimit::adaptive(highest(), LimitedRequests::Copies),
        }
    }

    /// Returns the limit of the requests of a comparison; `None` if the number of objects limits them.
    #[must_use]
    pub fn of_reads(&self) -> Option<ConcurrencyLimit> {
        let is_fixed = self.concurrency.is_some();
        (!is_fixed).then(|| ConcurrencyLimit::adaptive(highest(), LimitedRequests::All))
    }

    /// Returns how many objects a comparison has in progress.
    #[must_use]
    pub fn objects(&self) -> usize {
        usize::from(self.concurrency.unwrap_or(READS_IN_PROGRESS))
    }
}

/// Returns the highest concurrency that the limit of open files allows, and raises that limit where possible.
fn highest() -> u16 {
    let wanted = OTHER_FILES + FILES_PER_REQUEST * u64::from(MAX_CONCURRENCY);
    let Ok(open_files) = rlimit::increase_nofile_limit(wanted) else {
        return MAX_CONCURRENCY;
    };
    let requests = open_files.saturating_sub(OTHER_FILES) / FILES_PER_REQUEST;
    u16::try_from(requests).map_or(MAX_CONCURRENCY, |requests| requests.clamp(1, MAX_CONCURRENCY))
}
