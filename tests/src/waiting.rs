//! Polling of a condition. No other module of the harness waits a fixed time.

use std::time::{Duration, Instant};

use crate::{HarnessError, Result};

/// Pause between two polls. It is short, because every poll is one local request.
const PAUSE: Duration = Duration::from_millis(150);

/// Result of one poll.
#[derive(Debug)]
pub enum PollResult<T> {
    /// The condition is met.
    Yes(T),
    /// The condition is not met yet. The text describes the current state, for the timeout error.
    NotYet(String),
}

impl PollResult<()> {
    /// Returns `Yes` if `holds`, otherwise `NotYet` with the description of the state.
    pub fn when(holds: bool, state: impl FnOnce() -> String) -> Self {
        if holds { Self::Yes(()) } else { Self::NotYet(state()) }
    }
}

/// Polls until the condition is met and returns its value, or [`HarnessError::TimedOut`] after `deadline`.
///
/// An error of `poll` is returned at once. A condition that may fail for a while returns `NotYet`.
pub async fn until<T, F, Poll>(what: &str, deadline: Duration, poll: F) -> Result<T>
where
    F: FnMut() -> Poll,
    Poll: Future<Output = Result<PollResult<T>>>,
{
    until_polling_every(PAUSE, what, deadline, poll).await
}

/// Does the same as [`until`], with another pause between two polls.
pub async fn until_polling_every<T, F, Poll>(pause: Duration, what: &str, deadline: Duration, mut poll: F) -> Result<T>
where
    F: FnMut() -> Poll,
    Poll: Future<Output = Result<PollResult<T>>>,
{
    let begun = Instant::now();
    loop {
        let last_seen = match poll().await? {
            PollResult::Yes(found) => return Ok(found),
            PollResult::NotYet(state) => state,
        };
        let waited = begun.elapsed();
        if waited >= deadline {
            return Err(HarnessError::TimedOut {
                what: what.to_owned(),
                waited,
                last_seen,
            });
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unmet_condition_times_out_with_its_name_and_last_state() {
        let outcome: Result<()> = until("the queue to drain", Duration::ZERO, || async {
            Ok(PollResult::NotYet("3 messages".to_owned()))
        })
        .await;
        let text = outcome.expect_err("never met").to_string();
        assert!(
            text.contains("the queue to drain") && text.contains("3 messages"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn condition_that_holds_later_is_found() {
        let mut polls = 0;
        let found = until("the third poll", Duration::from_mins(1), || {
            polls += 1;
            let poll = polls;
            async move {
                Ok(if poll == 3 {
                    PollResult::Yes(poll)
                } else {
                    PollResult::NotYet(poll.to_string())
                })
            }
        })
        .await;
        assert_eq!(found.expect("met at the third poll"), 3);
    }
}
