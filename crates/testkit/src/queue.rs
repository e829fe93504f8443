//! A queue in memory that records the messages sent to it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use s3ferry_core::event::{Continuation, ReceiptHandle};
use s3ferry_core::failure::Failure;
use s3ferry_engine::ports::{Continuations, Redelivery};

/// An in-memory queue that records every continuation with its delay, or fails every request.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    sent: Mutex<Vec<(Continuation, Duration)>>,
    returned: Mutex<Vec<(String, Duration)>>,
    failure: Option<Failure>,
}

impl MemoryQueue {
    /// Creates a queue that fails every request with `failure`.
    pub fn failing(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    /// Returns the continuations that were sent, each with its delay.
    pub fn sent(&self) -> Vec<(Continuation, Duration)> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MemoryQueue {
    /// Returns the receipt handles whose visibility timeout was changed, each with its delay, in sorted order.
    pub fn returned(&self) -> Vec<(String, Duration)> {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        returned.sort();
        returned
    }
}

impl Redelivery for &MemoryQueue {
    async fn set_visibility_timeout(&self, receipt: &ReceiptHandle, delay: Duration) -> Result<(), Failure> {
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
