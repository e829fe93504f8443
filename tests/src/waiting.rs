//! Waiting for a condition, the only place of the harness that pauses.

use std::time::{Duration, Instant};

use crate::{HarnessError, Result};

/// Pause between two looks. Short, because every look is one local request.
const PAUSE: Duration = Duration::from_millis(150);

/// What one look found.
#[derive(Debug)]
pub enum PollResult<T> {
    /// The condition holds.
    Yes(T),
    /// Not yet; the text describes the present state for the message of a time-out.
    NotYet(String),
}

impl PollResult<()> {
    /// `Yes` when `holds`, else `NotYet` with the state described.
    pub fn when(holds: bool, state: impl FnOnce() -> String) -> Self {
        if holds { Self::Yes(()) } else { Self::NotYet(state()) }
    }
}

/// Looks until the condition holds and returns what was found; ends with [`Error::TimedOut`] after `deadline`.
///
/// An error of a look ends the waiting at once: a condition that is allowed to fail for a while says `NotYet`.
pub async fn until<T, F, Look>(what: &str, deadline: Duration, look: F) -> Result<T>
where
    F: FnMut() -> Look,
    Look: Future<Output = Result<PollResult<T>>>,
{
    until_looking_every(PAUSE, what, deadline, look).await
}

/// As [`until`], for a look that costs so little, or whose moment matters so much, that it is taken more often.
pub async fn until_looking_every<T, F, Look>(pause: Duration, what: &str, deadline: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Look,
    Look: Future<Output = Result<PollResult<T>>>,
{
    let begun = Instant::now();
    loop {
        let last_seen = match look().await? {
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
    async fn condition_that_never_holds_names_itself_and_the_last_state() {
        let outcome: Result<()> = until("the queue to drain", Duration::ZERO, || async {
            Ok(PollResult::NotYet("3 messages".to_owned()))
        })
        .await;
        let text = outcome.expect_err("never true").to_string();
        assert!(
            text.contains("the queue to drain") && text.contains("3 messages"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn condition_that_holds_later_is_found() {
        let mut looks = 0;
        let found = until("the third look", Duration::from_mins(1), || {
            looks += 1;
            let look = looks;
            async move {
                Ok(if look == 3 {
                    PollResult::Yes(look)
                } else {
                    PollResult::NotYet(look.to_string())
                })
            }
        })
        .await;
        assert_eq!(found.expect("holds at the third look"), 3);
    }
}
