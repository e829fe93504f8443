//! Settings of a bucket that may change while we run.

use std::time::Duration;

use s3ferry_core::failure::Failure;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a setting that was read is relied on.
const KEPT: Duration = Duration::from_mins(1);

/// A setting, with when it was read.
#[derive(Debug)]
pub(crate) struct Kept<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Kept<T> {
    /// Returns what was read within the last minute, or reads it: one of those who ask at the same time does so for all.
    /// Only an answer that `lasts` is kept.
    pub(crate) async fn get(
        &self,
        read: impl Future<Output = Result<T, Failure>>,
        lasts: impl Fn(&T) -> bool,
    ) -> Result<T, Failure> {
        let mut kept = self.0.lock().await;
        if let Some((at, value)) = kept.as_ref()
            && at.elapsed() < KEPT
        {
            return Ok(value.clone());
        }
        let value = read.await?;
        *kept = lasts(&value).then(|| (Instant::now(), value.clone()));
        Ok(value)
    }
}
