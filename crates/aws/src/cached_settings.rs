//! Cached bucket settings that may change during a run.

use std::time::Duration;

use s3ferry_core::failure::Failure;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Maximum age of a cached setting.
const MAX_AGE: Duration = Duration::from_mins(1);

/// A cached setting with the time at which it was read.
#[derive(Debug)]
pub(crate) struct CachedSetting<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for CachedSetting<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> CachedSetting<T> {
    /// Returns the cached value, or reads it if it is older than a minute.
    ///
    /// One of the concurrent callers reads for all. A value is cached only if it `is_cacheable`.
    pub(crate) async fn get(
        &self,
        read: impl Future<Output = Result<T, Failure>>,
        is_cacheable: impl Fn(&T) -> bool,
    ) -> Result<T, Failure> {
        let mut cached = self.0.lock().await;
        if let Some((at, value)) = cached.as_ref()
            && at.elapsed() < MAX_AGE
        {
            return Ok(value.clone());
        }
        let value = read.await?;
        *cached = is_cacheable(&value).then(|| (Instant::now(), value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use s3ferry_core::failure::FailureKind;

    use super::*;

    const ALMOST_A_MINUTE: Duration = Duration::from_millis(59_999);

    #[derive(Default)]
    struct Setting {
        cached: CachedSetting<u32>,
        reads: AtomicU32,
    }

    impl Setting {
        async fn get(&self, is_cacheable: bool) -> u32 {
            let read = async { Ok(self.reads.fetch_add(1, Ordering::SeqCst) + 1) };
            self.cached.get(read, |_| is_cacheable).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn setting_is_cached_for_a_minute() {
        let setting = Setting::default();
        assert_eq!(setting.get(true).await, 1);
        tokio::time::advance(ALMOST_A_MINUTE).await;
        assert_eq!(setting.get(true).await, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(setting.get(true).await, 2);
        tokio::time::advance(ALMOST_A_MINUTE).await;
        assert_eq!(setting.get(true).await, 2, "the age counts from the last read");
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_read() {
        let setting = Setting::default();
        let values = futures::future::join_all((0..8).map(|_| setting.get(true))).await;
        assert_eq!(values, [1; 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn uncacheable_value_and_failure_are_not_cached() {
        let setting = Setting::default();
        assert_eq!(setting.get(false).await, 1);
        assert_eq!(setting.get(true).await, 2);
        tokio::time::advance(MAX_AGE).await;
        let failure = Failure {
            kind: FailureKind::Retry,
            code: "SlowDown".into(),
            action: "s3:GetEncryptionConfiguration".to_owned(),
            resource: "bucket".to_owned(),
            detail: String::new(),
        };
        let failed = setting.cached.get(async { Err(failure.clone()) }, |_| true).await;
        assert_eq!(failed, Err(failure));
        assert_eq!(setting.get(true).await, 3, "the earlier value has expired");
    }
}
