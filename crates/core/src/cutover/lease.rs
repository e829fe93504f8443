//! Lease of a cutover: which process runs it.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Name of a process that runs a cutover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorName {
    /// Name of the person or role.
    pub operator: String,
    /// Name of the machine.
    pub host: String,
    /// Process on that machine.
    pub process: u32,
    /// When the process began, which distinguishes two processes with one number.
    pub began: Timestamp,
}

/// Lease of a cutover, stored in its state.
///
/// A lease has no end time, because the clocks of two operators may differ. It ends when its holder releases it, when
/// its holder is known to be dead, or when another operator saw no renewal for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorLease {
    /// Process that holds the lease, or held it last.
    pub holder: OperatorName,
    /// Whether the holder has released the lease.
    pub released: bool,
    /// Renewals so far. They change the stored state, so that others see that the holder is alive.
    pub renewals: u64,
}

/// Another process runs the cutover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operator} runs this cutover on {host} (process {process}, since {since})",
    operator = .0.operator, host = .0.host, process = .0.process, since = .0.began.to_rfc3339())]
pub struct LeaseHeld(pub Box<OperatorName>);

impl OperatorLease {
    /// Creates the lease of a process.
    #[must_use]
    pub fn of(holder: OperatorName) -> Self {
        Self {
            holder,
            released: false,
            renewals: 0,
        }
    }

    /// Returns the lease after `by` acquires it. `is_abandoned` is whether the holder is known not to run any more.
    pub fn acquire(&self, by: &OperatorName, is_abandoned: bool) -> Result<Self, LeaseHeld> {
        if self.released || is_abandoned || self.holder == *by {
            return Ok(Self::of(by.clone()));
        }
        Err(LeaseHeld(Box::new(self.holder.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(operator: &str) -> OperatorName {
        OperatorName {
            operator: operator.to_owned(),
            host: "laptop".to_owned(),
            process: 7,
            began: Timestamp::from_seconds(0),
        }
    }

    #[test]
    fn lease_passes_on_only_if_it_is_released_or_abandoned() {
        let mut lease = OperatorLease::of(name("ann"));
        let refusal = lease.acquire(&name("bob"), false).unwrap_err().to_string();
        assert!(refusal.contains("ann runs this cutover on laptop"), "{refusal}");
        assert_eq!(lease.acquire(&name("ann"), false).unwrap().holder, name("ann"));
        assert_eq!(lease.acquire(&name("bob"), true).unwrap().holder, name("bob"));
        lease.released = true;
        assert!(!lease.acquire(&name("bob"), false).unwrap().released);
    }
}
