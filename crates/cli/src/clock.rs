//! The machine's clock, for reconciles that end when somebody asks to stop rather than at a time.

use std::time::Duration;

use s3ferry_aws::clock::SystemClock;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock;

use crate::interrupt::{GRACE, Interrupt};

/// The end of time: no reconcile's deadline, unless somebody asks to stop.
const NO_END: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Waits that end this close to the end of time are waits for a deadline.
const BEFORE_NO_END: Duration = Duration::from_hours(1);

/// The machine's clock, on which the end of time comes soon after an interrupt.
#[derive(Debug, Clone)]
pub struct InterruptibleClock(Interrupt);

impl InterruptibleClock {
    /// Listens to `interrupt`.
    #[must_use]
    pub fn new(interrupt: Interrupt) -> Self {
        Self(interrupt)
    }

    /// The deadline of work that goes on until somebody asks to stop.
    #[must_use]
    pub fn no_end() -> Timestamp {
        NO_END
    }
}

impl Clock for InterruptibleClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// A wait for a deadline ends as long before the end of the grace as it would before the end of time, so that whoever
    /// keeps time back for tidying up has it.
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
            () = clock.sleep(NO_END.since(clock.now())) => panic!("nobody asked to stop"),
            () = clock.sleep(Duration::from_hours(1)) => {}
        }
        let (sender, interrupt) = Interrupt::by_hand();
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
