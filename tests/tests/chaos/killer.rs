//! Kills the function's processes while they work, at moments that a seed picks.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use s3ferry_testkit::schedule::SeededChoices;
use s3ferry_tests::deployment::{DESTINATION_BUCKET, PATIENCE};
use s3ferry_tests::emulator::Emulator;
use s3ferry_tests::waiting::{PollResult, until_looking_every};
use s3ferry_tests::{HarnessError, Result, process};

/// How often the emulator's log is looked at: much more often than a request takes, so that a kill falls between two
/// of them, or into one.
const LOOK: Duration = Duration::from_millis(2);

/// The longest wait between two kills, in requests to the destination. An object takes two or three of them.
const REQUESTS_BETWEEN_KILLS: usize = 200;

/// Kills processes of one function.
#[derive(Debug)]
pub(crate) struct Killer<'a> {
    seed: SeededChoices,
    emulator: &'a Emulator,
    function_name: &'a str,
    log: File,
    /// How many processes it has killed.
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

    /// Kills, as long as it is polled: after so many requests to the destination as the seed says one of the function's
    /// processes, now and then all of them.
    ///
    /// Nobody but the function talks to the destination bucket meanwhile, so that its requests are steps of the work:
    /// a kill falls before a read, between a read and the copy, or between the copy and the acknowledgement.
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

    /// Waits until the destination bucket has seen `count` requests from now on.
    async fn until_requests(&mut self, count: usize) -> Result<()> {
        self.log
            .seek(SeekFrom::End(0))
            .map_err(HarnessError::io("going to the end of the emulator's log"))?;
        let log = &mut self.log;
        let mut seen = String::new();
        until_looking_every(LOOK, "requests to the destination", PATIENCE, || {
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

/// How many requests to the destination bucket the emulator has logged in `log`.
fn requests_to_destination(log: &str) -> usize {
    log.matches(&format!("[ministack] HEAD /{DESTINATION_BUCKET}/")).count()
        + log.matches(&format!("[ministack] PUT /{DESTINATION_BUCKET}/")).count()
        + log
            .matches(&format!("[ministack] DELETE /{DESTINATION_BUCKET}/"))
            .count()
}
