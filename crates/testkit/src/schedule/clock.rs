//! The scheduler's clock as a port.

use std::time::Duration;

use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock;

use super::Schedule;

/// A clock that stands still until the scheduler advances it.
#[derive(Debug, Clone)]
pub struct VirtualClock(pub Schedule);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn sleep(&self, duration: Duration) {
        let due = self.now().plus(duration);
        self.0.wait_until(due).await;
    }
}
