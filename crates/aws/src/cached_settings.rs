//! Settings of a bucket that may change while we run.

use std::time::Duration;

use s3ferry_core::failure::Failure;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a setting that was read is relied on.
const KEPT: Duration = Duration::from_mins(1);

/// A setting, with when it was read.
#[derive(Debug)]
pub(crate) struct CachedSetting<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for CachedSetting<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> CachedSetting<T> {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use s3ferry_core::failure::FailureKind;

    use super::*;

    const ALMOST_A_MINUTE: Duration = Duration::from_millis(59_999);

    #[derive(Default)]
    struct Setting {
        kept: CachedSetting<u32>,
        reads: AtomicU32,
    }

    impl Setting {
        async fn get(&self, lasts: bool) -> u32 {
            let read = async { Ok(self.reads.fetch_add(1, Ordering::SeqCst) + 1) };
            self.kept.get(read, |_| lasts).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn setting_is_read_again_after_a_minute_and_not_before() {
        let setting = Setting::default();
        assert_eq!(setting.get(true).await, 1);
        tokio::time::advance(ALMOST_A_MINUTE).await;
        assert_eq!(setting.get(true).await, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(setting.get(true).await, 2);
        tokio::time::advance(ALMOST_A_MINUTE).await;
        assert_eq!(setting.get(true).await, 2, "the minute begins with the last read");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_at_the_same_time_share_one_read() {
        let setting = Setting::default();
        let values = futures::future::join_all((0..8).map(|_| setting.get(true))).await;
        assert_eq!(values, [1; 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_does_not_last_and_a_failure_are_not_kept() {
        let setting = Setting::default();
        assert_eq!(setting.get(false).await, 1);
        assert_eq!(setting.get(true).await, 2);
        tokio::time::advance(KEPT).await;
        let failure = Failure {
            kind: FailureKind::Retry,
            code: "SlowDown".to_owned(),
            action: "s3:GetEncryptionConfiguration".to_owned(),
            resource: "bucket".to_owned(),
            detail: String::new(),
        };
        let failed = setting.kept.get(async { Err(failure.clone()) }, |_| true).await;
        assert_eq!(failed, Err(failure));
        assert_eq!(setting.get(true).await, 3, "the value of before has ended");
    }
}
