//! Deadline of an invocation's work, early enough to return the response.

use std::time::Duration;

use lambda_runtime::Context;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock as _;

/// Time reserved at the end of an invocation for logs and the response.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(5);

/// Returns the time at which the work of an invocation must end.
#[must_use]
pub fn of_invocation(context: &Context) -> Timestamp {
    let end = Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
    work_until(SystemClock.now(), end)
}

/// Subtracts the reserve from `end`, but at most half of the remaining time.
fn work_until(now: Timestamp, end: Timestamp) -> Timestamp {
    end.minus(SHUTDOWN_RESERVE.min(end.since(now) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_is_at_most_half_of_the_remaining_time() {
        let at = Timestamp::from_seconds;
        assert_eq!(work_until(at(100), at(700)), at(695));
        assert_eq!(work_until(at(100), at(106)), at(103));
        assert_eq!(work_until(at(100), at(100)), at(100));
        assert_eq!(work_until(at(100), at(90)), at(90));
    }
}
