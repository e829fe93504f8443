//! The controller of the concurrency: finds the level at which the throughput stops growing.

use std::time::Duration;

/// Concurrency at the start.
pub const INITIAL_CONCURRENCY: u16 = 64;

/// Highest concurrency.
pub const MAX_CONCURRENCY: u16 = 1_024;

/// Lowest concurrency that throttling leads to.
const MIN_CONCURRENCY: u16 = 4;

/// How much the level rises at once, when doubling it has once not paid.
const INCREASE: u16 = 64;

/// Samples without growth after which a higher level is tried again: the service may have scaled since.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
const SAMPLES_UNTIL_RETRY: u16 = 10;

/// Measurement of one interval at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencySample {
    /// Requests that ended.
    pub completed: u64,
    /// Those of them that the service throttled (503 `SlowDown`).
    pub throttled: u64,
    /// Length of the interval.
    pub elapsed: Duration,
    /// Whether requests waited for others to end.
    pub was_saturated: bool,
}

/// Finds the concurrency of a long command by slow start, additive increase and multiplicative decrease.
///
/// The level doubles while the throughput grows with it, up to 1,024. It goes back to the previous level when the
/// throughput did not grow, and falls by half when S3 throttles; from then on it rises by 64 at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyController {
    level: u16,
    /// Highest level.
    max: u16,
    /// Level and throughput before the last increase.
    before: Option<(u16, u64)>,
    /// Samples since the level stopped rising.
    held: u16,
    /// Whether neither throttling nor a rise without growth was seen yet.
    is_starting: bool,
    /// Whether the requests of this sample were partly sent at a higher level.
    is_settling: bool,
}

impl ConcurrencyController {
    /// Starts at [`INITIAL_CONCURRENCY`], with a highest level of `max`.
    #[must_use]
    pub fn new(max: u16) -> Self {
        let max = max.clamp(1, MAX_CONCURRENCY);
        Self {
            level: INITIAL_CONCURRENCY.min(max),
            max,
            before: None,
            held: SAMPLES_UNTIL_RETRY,
            is_starting: true,
            is_settling: false,
        }
    }

    /// Returns the current level.
    #[must_use]
    pub fn level(&self) -> u16 {
        self.level
    }

    /// Returns the highest level.
    #[must_use]
    pub fn max(&self) -> u16 {
        self.max
    }

    fn increase(self) -> u16 {
        if self.is_starting { self.level } else { INCREASE }
    }

    /// Returns the controller after a sample of the current level.
    #[must_use]
    pub fn after(self, sample: &ConcurrencySample) -> Self {
        if self.is_settling {
            return Self {
                is_settling: false,
                ..self
            };
        }
        if sample.throttled > 0 {
            return Self {
                level: (self.level / 2).max(MIN_CONCURRENCY.min(self.max)),
                before: None,
                held: 0,
                is_starting: false,
                is_settling: true,
                ..self
            };
        }
        if !sample.was_saturated {
            return self;
        }
        let throughput = throughput(sample);
        match self.before {
            Some((level, before)) if !has_grown(level, before, self.level, throughput) => Self {
                level,
                before: None,
                held: 0,
                is_starting: false,
                ..self
            },
            None if self.held < SAMPLES_UNTIL_RETRY => Self {
                held: self.held + 1,
                ..self
            },
            _ if self.level == self.max => Self { before: None, ..self },
            _ => Self {
                level: self.level.saturating_add(self.increase()).min(self.max),
                before: Some((self.level, throughput)),
                ..self
            },
        }
    }
}

/// Returns the requests per 1,000 seconds.
fn throughput(sample: &ConcurrencySample) -> u64 {
    let millis = sample.elapsed.as_millis().max(1);
    u64::try_from(u128::from(sample.completed) * 1_000_000 / millis).unwrap_or(u64::MAX)
}

/// Returns whether the throughput grew by at least a quarter of what the level grew by, in proportion.
fn has_grown(level_before: u16, before: u64, level: u16, now: u64) -> bool {
    let gained = u128::from(now.saturating_sub(before));
    let risen = u128::from(level.saturating_sub(level_before));
    gained * 4 * u128::from(level_before) >= u128::from(before) * risen && now > before
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A service whose throughput grows with the concurrency up to `capacity`, and that throttles above `limit`.
    fn sample_of(level: u16, capacity: u16, limit: u16) -> ConcurrencySample {
        ConcurrencySample {
            completed: u64::from(level.min(capacity)) * 10,
            throttled: u64::from(level.saturating_sub(limit)),
            elapsed: Duration::from_secs(1),
            was_saturated: true,
        }
    }

    fn run(capacity: u16, limit: u16, samples: u32) -> Vec<u16> {
        let mut controller = ConcurrencyController::new(MAX_CONCURRENCY);
        let mut levels = Vec::new();
        for _ in 0..samples {
            controller = controller.after(&sample_of(controller.level(), capacity, limit));
            levels.push(controller.level());
        }
        levels
    }

    #[test]
    fn level_rises_to_the_maximum_while_the_throughput_grows() {
        let levels = run(u16::MAX, u16::MAX, 20);
        assert_eq!(levels[..4], [128, 256, 512, 1_024]);
        assert_eq!(levels.last(), Some(&MAX_CONCURRENCY));
    }

    #[test]
    fn level_returns_to_where_the_throughput_stopped_growing() {
        let levels = run(120, u16::MAX, 12);
        assert_eq!(levels[..3], [128, 256, 128]);
        assert_eq!(levels[3..], [128; 9]);
    }

    #[test]
    fn level_is_tried_again_later() {
        let levels = run(120, u16::MAX, 40);
        assert!(levels[3..].contains(&192), "{levels:?}");
        assert!(!levels[3..].contains(&256), "the level doubles again: {levels:?}");
    }

    #[test]
    fn throttling_halves_the_level_once() {
        let levels = run(u16::MAX, 300, 10);
        let peak = levels.iter().position(|level| *level > 300).unwrap();
        assert_eq!(levels[peak + 1], levels[peak] / 2);
        assert_eq!(
            levels[peak + 2],
            levels[peak] / 2,
            "requests in flight may still be throttled"
        );
    }

    #[test]
    fn level_stays_while_nothing_waits() {
        let controller = ConcurrencyController::new(MAX_CONCURRENCY);
        let idle = ConcurrencySample {
            was_saturated: false,
            ..sample_of(64, 64, 64)
        };
        assert_eq!(controller.after(&idle), controller);
    }

    proptest! {
        #[test]
        fn level_is_always_within_its_bounds(
            max in 0u16..2_000,
            samples in prop::collection::vec((0u64..100_000, 0u64..3, 0u64..5_000, any::<bool>()), 0..200),
        ) {
            let mut controller = ConcurrencyController::new(max);
            for (completed, throttled, millis, was_saturated) in samples {
                let before = controller.level();
                let sample = ConcurrencySample {
                    completed,
                    throttled,
                    elapsed: Duration::from_millis(millis),
                    was_saturated,
                };
                controller = controller.after(&sample);
                prop_assert!((1..=max.clamp(1, MAX_CONCURRENCY)).contains(&controller.level()));
                prop_assert!(controller.level() <= before.saturating_mul(2).max(before.saturating_add(INCREASE)));
                if throttled > 0 {
                    prop_assert!(controller.level() <= before);
                }
            }
        }

        #[test]
        fn level_recovers_after_throttling(limit in 100u16..1_000) {
            let levels = run(u16::MAX, limit, 200);
            let late = &levels[100..];
            prop_assert!(late.iter().any(|level| *level > limit / 2));
            prop_assert!(late.iter().all(|level| *level <= limit + INCREASE));
        }
    }
}
