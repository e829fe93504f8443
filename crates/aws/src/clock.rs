//! The system clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock;

/// Reads the system time and sleeps on the runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_seconds(0).plus(since_epoch)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
