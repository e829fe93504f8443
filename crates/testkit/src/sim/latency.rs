//! How long requests take.

use std::time::Duration;

/// What a request waits for, apart from faults.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SimLatency {
    /// What each request waits.
    pub request: Duration,
    /// What a copy waits in addition whose source is in another region.
    pub cross_region: Duration,
    /// How fast one copy moves its bytes, in megabytes (10^6 bytes) per second; `None` takes no time.
    pub part_megabytes_per_second: Option<f64>,
}

/// What a copy moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyTransfer {
    /// How many bytes.
    pub size_bytes: u64,
    /// Whether they cross regions.
    pub crosses_regions: bool,
}

impl SimLatency {
    /// Returns how long a request waits.
    pub fn of(&self, movement: Option<CopyTransfer>) -> Duration {
        let Some(movement) = movement else {
            return self.request;
        };
        let crossing = if movement.crosses_regions {
            self.cross_region
        } else {
            Duration::ZERO
        };
        #[expect(clippy::cast_precision_loss, reason = "a duration needs no exact number of bytes")]
        let moving = self
            .part_megabytes_per_second
            .map_or(0.0, |speed| movement.size_bytes as f64 / (speed * 1_000_000.0));
        self.request + crossing + Duration::try_from_secs_f64(moving).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_across_regions_waits_for_its_way_and_its_bytes() {
        let latency = SimLatency {
            request: Duration::from_millis(5),
            cross_region: Duration::from_millis(80),
            part_megabytes_per_second: Some(100.0),
        };
        let movement = CopyTransfer {
            size_bytes: 100_000_000,
            crosses_regions: true,
        };
        assert_eq!(latency.of(Some(movement)), Duration::from_millis(1085));
        assert_eq!(latency.of(None), Duration::from_millis(5));
    }
}
