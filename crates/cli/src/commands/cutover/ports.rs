//! The ports of a cutover on AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use s3ferry_aws::batch::queues;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::cutover::certificate::CutoverCertificate;
use s3ferry_core::cutover::{CutoverState, CutoverStep, OperatorName, StepRecord};
use s3ferry_core::diff::SideName;
use s3ferry_core::names::ETag;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::cutover::{
    BucketFingerprint, CutoverBacklog, CutoverPorts, InFlightUpload, ProbeRound, ResidualData, StepOutcome,
    StoredCutover,
};
use s3ferry_engine::ports::{Clock as _, WriteError};
use serde_json::json;

use super::open::CutoverSetup;
use super::{output, plan, proof};
use crate::exit::CliError;
use crate::progress::print_message;

/// Time without a sign of life after which an operator counts as gone: several renewals of the lease.
const SILENCE: Duration = Duration::from_mins(2);

impl CutoverPorts for CutoverSetup<'_> {
    type Error = CliError;

    async fn load(&self) -> Result<Option<StoredCutover>, CliError> {
        let stored = self.state.read(&self.route.state_name()).await?;
        Ok(stored.map(|object| StoredCutover {
            etag: object.etag,
            body: object.body,
        }))
    }

    async fn store(&self, body: Vec<u8>, seen: Option<&ETag>) -> Result<ETag, WriteError> {
        let name = self.route.state_name();
        match seen {
            Some(seen) => self.state.replace(&name, body, seen).await,
            None => self
                .state
                .create(&name, body)
                .await?
                .ok_or(WriteError::PreconditionFailed),
        }
    }

    async fn is_abandoned(&self, holder: &OperatorName, seen: &ETag) -> Result<bool, CliError> {
        if holder.host == self.operator.host && !is_running(holder.process) {
            return Ok(true);
        }
        if !self.take_over {
            return Ok(false);
        }
        print_message(&format!(
            "waiting {} seconds for a sign of life of {} on {}",
            SILENCE.as_secs(),
            holder.operator,
            holder.host
        ));
        self.sleep(SILENCE).await?;
        let now = self.state.read(&self.route.state_name()).await?;
        Ok(now.is_some_and(|object| object.etag == *seen))
    }

    fn certificate(&self, state: &CutoverState) -> Result<CutoverCertificate, CliError> {
        Ok(proof::certificate(self, state))
    }

    async fn store_certificate(&self, name: &str, text: &str) -> Result<String, CliError> {
        let created = self.state.create(name, text.as_bytes().to_vec()).await;
        if let Err(WriteError::Failed(failure)) = created {
            return Err(failure.into());
        }
        let stored = self.state.read(name).await?;
        let stored = stored.ok_or_else(|| {
            CliError::setup(
                "the certificate is not in the state bucket",
                "run the same command again",
            )
        })?;
        String::from_utf8(stored.body).map_err(|error| CliError::setup(error.to_string(), "restore the certificate"))
    }

    async fn policy(&self, side: SideName) -> Result<Option<String>, CliError> {
        Ok(self.bucket(side).policy().await?)
    }

    async fn put_policy(&self, side: SideName, policy: Option<&str>) -> Result<(), CliError> {
        Ok(self.bucket(side).put_policy(policy).await?)
    }

    async fn probe(&self, side: SideName) -> Result<ProbeRound, CliError> {
        let name = format!("s3ferry-probe-{}", self.operator.began.millis());
        Ok(self.bucket(side).probe(&self.probing, &name).await?)
    }

    async fn uploads(&self) -> Result<Vec<InFlightUpload>, CliError> {
        Ok(self.bucket(SideName::Source).uploads().await?)
    }

    async fn abort_upload(&self, upload: &InFlightUpload) -> Result<(), CliError> {
        Ok(self.bucket(SideName::Source).abort_upload(upload).await?)
    }

    async fn backlog(&self) -> Result<CutoverBacklog, CliError> {
        let mut counts = [0, 0];
        for (count, url) in counts.iter_mut().zip(&self.queues) {
            *count = queues::messages(&self.sides.clients, &self.sides.source.region, url).await?;
        }
        let unfinished = self.journal.unfinished().await?;
        let prefix = self.sides.prefix();
        let [queue, dead_letters] = counts;
        Ok(CutoverBacklog {
            queue,
            dead_letters,
            journal: unfinished.iter().filter(|key| key.as_str().starts_with(prefix)).count() as u64,
        })
    }

    async fn fingerprint(&self, side: SideName) -> Result<BucketFingerprint, CliError> {
        Ok(self.bucket(side).versions().await?.0)
    }

    async fn ready(&self) -> Result<StepOutcome, CliError> {
        let backlog = self.backlog().await?;
        let outcome = StepOutcome::met()
            .with("dead_letters", backlog.dead_letters)
            .with("queue", backlog.queue)
            .with("stack", json!(self.stack));
        if backlog.dead_letters > 0 {
            let by = format!(
                "{} dead letters: redrive them, and see docs/RUNBOOK.md",
                backlog.dead_letters
            );
            return Ok(StepOutcome {
                blocked_by: Some(by),
                ..outcome
            });
        }
        Ok(outcome)
    }

    async fn final_sync(&self) -> Result<StepOutcome, CliError> {
        proof::final_sync(self).await
    }

    async fn verify(&self) -> Result<StepOutcome, CliError> {
        proof::verify(self).await
    }

    async fn keys_ahead(&self) -> Result<BTreeSet<String>, CliError> {
        proof::keys_ahead(self).await
    }

    async fn notification(&self) -> Result<Option<String>, CliError> {
        match &self.notification {
            Some(notification) => notification.read().await,
            None => Ok(None),
        }
    }

    async fn detach_notification(&self) -> Result<(), CliError> {
        match &self.notification {
            Some(notification) => notification.detach().await,
            None => Ok(()),
        }
    }

    async fn attach_notification(&self, stored: &str) -> Result<(), CliError> {
        match &self.notification {
            Some(notification) => notification.attach(stored).await,
            None => Err(CliError::usage(
                "the cutover removed a notification of the source stack",
                "pass --stack, so that it is added again",
            )),
        }
    }

    async fn switch_to(&self, side: SideName) -> Result<(), CliError> {
        self.switch.set(side, &self.sides, self.interrupt).await
    }

    async fn switched_to(&self) -> Result<Option<SideName>, CliError> {
        self.switch.get(&self.sides).await
    }

    async fn residual_data(&self) -> Result<ResidualData, CliError> {
        let (_, mut left) = self.bucket(SideName::Source).versions().await?;
        left.uploads = self.uploads().await?.len() as u64;
        Ok(left)
    }

    async fn confirm(&self, step: CutoverStep, state: &CutoverState) -> Result<bool, CliError> {
        if self.interrupt.is_set() {
            return Err(CliError::Interrupted);
        }
        let text = plan::announcement(self, step, state);
        if self.yes {
            print_message(&text);
            return Ok(true);
        }
        output::asks(&text, self.interrupt).await
    }

    fn report(&self, step: CutoverStep, record: &StepRecord) -> Result<(), CliError> {
        output::step(self.format, step, record)
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) -> Result<(), CliError> {
        tokio::select! {
            biased;
            () = self.interrupt.wait() => Err(CliError::Interrupted),
            () = tokio::time::sleep(duration) => Ok(()),
        }
    }

    async fn wait_for_renewal(&self, after: Duration) {
        tokio::time::sleep(after).await;
    }
}

/// Returns whether a process of this machine runs.
fn is_running(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| {
        // A process of another user answers with a denial, and runs.
        !matches!(
            rustix::process::test_kill_process(process),
            Err(rustix::io::Errno::SRCH)
        )
    })
}
