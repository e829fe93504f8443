//! A queue that remembers what was sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use s3ferry_core::event::Continuation;
use s3ferry_core::failure::Failure;
use s3ferry_engine::ports::Continuations;

/// Keeps every continuation with its delay; fails instead when it is told to.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    sent: Mutex<Vec<(Continuation, Duration)>>,
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
