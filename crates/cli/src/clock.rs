//! A clock for reconciles that end with an interrupt instead of a deadline.

use std::time::Duration;

use s3ferry_aws::clock::SystemClock;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock;

use crate::interrupt::{GRACE, Interrupt};

/// A deadline that is never reached without an interrupt.
const NO_END: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Waits that end this close to `NO_END` are waits for the deadline.
const BEFORE_NO_END: Duration = Duration::from_hours(1);

/// The system clock, whose last moment comes soon after an interrupt.
#[derive(Debug, Clone)]
pub struct InterruptibleClock(Interrupt);

impl InterruptibleClock {
    /// Listens to `interrupt`.
    #[must_use]
    pub fn new(interrupt: Interrupt) -> Self {
        Self(interrupt)
    }

    /// The deadline of work that ends only with an interrupt.
    #[must_use]
    pub fn no_end() -> Timestamp {
        NO_END
    }
}

impl Clock for InterruptibleClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// A wait for the deadline ends before the grace period does, by the time that the waiter reserves for its shutdown.
    async fn sleep(&self, duration: Duration) {
        let end = self.now().plus(duration);
        let kept_back = NO_END.since(end);
        if kept_back > BEFORE_NO_END {
            SystemClock.sleep(duration).await;
        } else {
            self.0.wait().await;
            SystemClock.sleep(GRACE.saturating_sub(kept_back)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn deadline_comes_with_the_interrupt_only() {
        let clock = InterruptibleClock::new(Interrupt::never());
        tokio::select! {
            () = clock.sleep(NO_END.since(clock.now())) => panic!("no interrupt was sent"),
            () = clock.sleep(Duration::from_hours(1)) => {}
        }
        let (sender, interrupt) = Interrupt::manual();
        let clock = InterruptibleClock::new(interrupt);
        sender.send_replace(true);
        let tidying = Duration::from_secs(5);
        let begun = tokio::time::Instant::now();
        clock.sleep(NO_END.minus(tidying).since(clock.now())).await;
        assert!(begun.elapsed() < GRACE, "there is time to tidy up");
        clock.sleep(NO_END.since(clock.now())).await;
        assert!(begun.elapsed() >= GRACE);
    }
}
