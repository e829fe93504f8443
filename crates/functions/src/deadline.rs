//! When work must end so that the answer is still heard.

use std::time::Duration;

use lambda_runtime::Context;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock as _;

/// What is kept back of an invocation for logs and the answer.
const RESERVE: Duration = Duration::from_secs(5);

/// Returns when the work of an invocation must end.
#[must_use]
pub fn of_invocation(context: &Context) -> Timestamp {
    let end = Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
    work_until(SystemClock.now(), end)
}

/// Keeps the reserve back, but never more than half of the time that is left.
fn work_until(now: Timestamp, end: Timestamp) -> Timestamp {
    end.minus(RESERVE.min(end.since(now) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_never_eats_a_short_invocation() {
        let at = Timestamp::from_seconds;
        assert_eq!(work_until(at(100), at(700)), at(695));
        assert_eq!(work_until(at(100), at(106)), at(103));
        assert_eq!(work_until(at(100), at(100)), at(100));
        assert_eq!(work_until(at(100), at(90)), at(90));
    }
}
