//! The backups that make a change reversible.

use crate::wiring::failures::bucket_is_missing;
use crate::wiring::plan::ConfigurationWrite;
use crate::wiring::ports::{WiringBackup, WiringPorts};
use crate::wiring::snapshot::{
    ConfigurationSnapshot, EVENT_BRIDGE, ORIGINAL, REPLICATION_ROLE, added_role_note, switched_on_note,
};
use s3ferry_core::failure::Failure;

use super::{RuleOf, WiringJob, sets_role, switches};

/// The backups that make a change reversible.
impl<P: WiringPorts> WiringJob<'_, P> {
    pub(super) async fn back_up(
        &self,
        seen: &ConfigurationSnapshot<RuleOf<P>>,
        change: &ConfigurationWrite<RuleOf<P>>,
    ) -> Result<(), Failure> {
        let Some(backup) = &self.backup else {
            return Ok(());
        };
        let text = seen.document().to_string();
        let saved = async {
            backup.save_once(ORIGINAL, &text).await?;
            backup.save(&format!("{}.json", self.request_id), &text).await?;
            if switches(seen, change) == Some(true) {
                backup.save(EVENT_BRIDGE, &switched_on_note(true)).await?;
            }
            if let Some(role) = sets_role(seen, change) {
                backup.save(REPLICATION_ROLE, &added_role_note(role)).await?;
            }
            Ok(())
        };
        self.tolerate(saved.await)
    }

    pub(super) async fn note_switched_off(
        &self,
        seen: &ConfigurationSnapshot<RuleOf<P>>,
        change: &ConfigurationWrite<RuleOf<P>>,
    ) -> Result<(), Failure> {
        match &self.backup {
            Some(backup) if switches(seen, change) == Some(false) => {
                self.tolerate(backup.save(EVENT_BRIDGE, &switched_on_note(false)).await)
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn load(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(backup) = &self.backup else {
            return Ok(None);
        };
        match backup.load(name).await {
            Err(failure) if self.removal && bucket_is_missing(&failure) => Ok(None),
            loaded => loaded,
        }
    }

    /// Ignores a missing bucket for backups in a removal: removing s3ferry's own entries requires no backup.
    pub(super) fn tolerate(&self, saved: Result<(), Failure>) -> Result<(), Failure> {
        match saved {
            Err(failure) if self.removal && bucket_is_missing(&failure) => {
                tracing::warn!(%failure, "removing the wiring without a backup");
                Ok(())
            }
            saved => saved,
        }
    }
}
