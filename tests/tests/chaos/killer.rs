//! Kills the function's processes during their work, at random times from a seed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use s3ferry_testkit::schedule::SeededChoices;
use s3ferry_tests::deployment::{DESTINATION_BUCKET, PATIENCE};
use s3ferry_tests::emulator::Emulator;
use s3ferry_tests::waiting::{PollResult, until_polling_every};
use s3ferry_tests::{HarnessError, Result, process};

/// Interval of reading the emulator's log: much shorter than a request, so that a kill falls between two requests or
/// into one.
const LOG_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Maximum number of requests to the destination between two kills. An object needs two or three.
const REQUESTS_BETWEEN_KILLS: usize = 200;

/// Kills processes of one function.
#[derive(Debug)]
pub(crate) struct Killer<'a> {
    seed: SeededChoices,
    emulator: &'a Emulator,
    function_name: &'a str,
    log: File,
    /// Processes killed so far.
    pub(crate) killed: usize,
}

impl<'a> Killer<'a> {
    pub(crate) fn new(seed: SeededChoices, emulator: &'a Emulator, function_name: &'a str) -> Result<Self> {
        Ok(Self {
            seed,
            emulator,
            function_name,
            log: File::open(emulator.log_path()).map_err(HarnessError::io("opening the emulator's log"))?,
            killed: 0,
        })
    }

    /// Kills one of the function's processes after a random number of requests to the destination, and sometimes all.
    /// Runs until it is dropped.
    ///
    /// Only the function sends requests to the destination bucket during that time, so each request is a step of its
    /// work. A kill falls before a read, between a read and the copy, or between the copy and the acknowledgement.
    pub(crate) async fn run(&mut self) -> Result<()> {
        loop {
            let requests = 1 + self.seed.below(REQUESTS_BETWEEN_KILLS);
            self.until_requests(requests).await?;
            let workers = self.emulator.workers_of(self.function_name);
            let victims = if self.seed.once_in(4) || workers.is_empty() {
                workers
            } else {
                vec![self.seed.of(&workers)]
            };
            self.killed += victims.into_iter().filter(|pid| process::kill(*pid)).count();
        }
    }

    /// Waits for `count` further requests to the destination bucket.
    async fn until_requests(&mut self, count: usize) -> Result<()> {
        self.log
            .seek(SeekFrom::End(0))
            .map_err(HarnessError::io("seeking to the end of the emulator's log"))?;
        let log = &mut self.log;
        let mut seen = String::new();
        until_polling_every(LOG_POLL_INTERVAL, "requests to the destination", PATIENCE, || {
            let appended = log.read_to_string(&mut seen);
            let found = requests_to_destination(&seen);
            async move {
                appended.map_err(HarnessError::io("reading the emulator's log"))?;
                Ok(PollResult::when(found >= count, || {
                    format!("{found} of {count} requests")
                }))
            }
        })
        .await
    }
}

/// Counts the requests to the destination bucket in the emulator's log.
fn requests_to_destination(log: &str) -> usize {
    log.matches(&format!("[ministack] HEAD /{DESTINATION_BUCKET}/")).count()
        + log.matches(&format!("[ministack] PUT /{DESTINATION_BUCKET}/")).count()
        + log
            .matches(&format!("[ministack] DELETE /{DESTINATION_BUCKET}/"))
            .count()
}
