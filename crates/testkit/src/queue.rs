//! A queue that remembers what was sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use s3ferry_core::event::{Continuation, ReceiptHandle};
use s3ferry_core::failure::Failure;
use s3ferry_engine::ports::{Continuations, Redelivery};

/// Keeps every continuation with its delay; fails instead when it is told to.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    sent: Mutex<Vec<(Continuation, Duration)>>,
    returned: Mutex<Vec<(String, Duration)>>,
    failure: Option<Failure>,
}

impl MemoryQueue {
    /// Makes a queue that refuses everything.
    pub fn failing(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    /// Returns what was sent so far.
    pub fn sent(&self) -> Vec<(Continuation, Duration)> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MemoryQueue {
    /// Returns the receipts of messages that were told when to come back, in the order of their text.
    pub fn returned(&self) -> Vec<(String, Duration)> {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        returned.sort();
        returned
    }
}

impl Redelivery for &MemoryQueue {
    async fn return_after(&self, receipt: &ReceiptHandle, delay: Duration) -> Result<(), Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.push((receipt.as_str().to_owned(), delay));
        Ok(())
    }
}

impl Continuations for &MemoryQueue {
    async fn send(&self, continuation: &Continuation, delay: Duration) -> Result<(), Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push((continuation.clone(), delay));
        Ok(())
    }
}
