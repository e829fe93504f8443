//! Duration of requests.

use std::time::Duration;

/// Delays of requests, apart from faults.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SimLatency {
    /// Delay of each request.
    pub request: Duration,
    /// Additional delay of a copy whose source is in another region.
    pub cross_region: Duration,
    /// Throughput of one copy request in megabytes (10^6 bytes) per second. `None` means that copies take no time.
    pub part_megabytes_per_second: Option<f64>,
}

/// Data transfer of a copy request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyTransfer {
    /// Number of bytes.
    pub size_bytes: u64,
    /// Whether source and destination are in different regions.
    pub crosses_regions: bool,
}

impl SimLatency {
    /// Returns the delay of a request. `transfer` is `None` for a request that copies nothing.
    pub fn of(&self, transfer: Option<CopyTransfer>) -> Duration {
        let Some(transfer) = transfer else {
            return self.request;
        };
        let crossing = if transfer.crosses_regions {
            self.cross_region
        } else {
            Duration::ZERO
        };
        #[expect(clippy::cast_precision_loss, reason = "a duration needs no exact number of bytes")]
        let moving = self
            .part_megabytes_per_second
            .map_or(0.0, |speed| transfer.size_bytes as f64 / (speed * 1_000_000.0));
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
        let transfer = CopyTransfer {
            size_bytes: 100_000_000,
            crosses_regions: true,
        };
        assert_eq!(latency.of(Some(transfer)), Duration::from_millis(1085));
        assert_eq!(latency.of(None), Duration::from_millis(5));
    }
}
