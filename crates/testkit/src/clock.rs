//! A clock that follows tokio's time, which a test can pause.

use std::time::Duration;

use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock;
use tokio::time::Instant;

/// A clock that starts at a fixed time. With `start_paused`, waits take no real time.
#[derive(Debug, Clone)]
pub struct TestClock {
    started: Instant,
}

impl TestClock {
    /// The start time of every test clock. It is later than every time that the memory store assigns.
    pub const START: Timestamp = Timestamp::from_seconds(1_000_000);

    /// Starts a clock at [`TestClock::START`].
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Returns a deadline that no test reaches: one hour from now.
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
