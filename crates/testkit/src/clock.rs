//! A clock on the runtime's time, which a test can pause.

use std::time::Duration;

use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock;
use tokio::time::Instant;

/// Starts at a fixed point in time and follows the runtime's clock; under `start_paused` waits take no real time.
#[derive(Debug, Clone)]
pub struct TestClock {
    started: Instant,
}

impl TestClock {
    /// The time at which every test clock starts: later than all the memory store's own times.
    pub const START: Timestamp = Timestamp::from_seconds(1_000_000);

    /// Starts a clock.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Returns a deadline that no test reaches.
    pub fn far_future(&self) -> Timestamp {
        self.now().plus(Duration::from_hours(1))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Self::START.plus(self.started.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
