//! Bucket policies: one statement is added or removed, and read back.

use s3ferry_core::cutover::DenyStatement;
use s3ferry_core::cutover::bucket_policy::{
    BucketPolicyError, StatementPresence, StatementRemoval, is_same, presence, with_statement, without_statement,
};
use s3ferry_core::diff::SideName;

use super::{Cutover, CutoverPorts, CutoverRefusal, ProbeRound, StepOutcome};

/// Attempts to change a policy that another tool changes too.
const ATTEMPTS: usize = 5;

/// Reads after a write until the statement is visible.
const READS: usize = 5;

impl<P: CutoverPorts> Cutover<P> {
    /// Returns whether a bucket's policy has a statement.
    pub(super) async fn has_statement(&self, side: SideName, deny: &DenyStatement) -> Result<bool, P::Error> {
        let policy = self.ports.policy(side).await?;
        let presence = presence(policy.as_deref(), &deny.statement).map_err(refused(side))?;
        Ok(presence == StatementPresence::Present)
    }

    /// Adds a statement to a bucket's policy and reads it back.
    ///
    /// S3 has no conditional request for policies. The policy is read once more directly before the write, so that a
    /// change by another tool is overwritten only if it arrives between these two requests.
    pub(super) async fn add_statement(&self, side: SideName, deny: &DenyStatement) -> Result<(), P::Error> {
        for _ in 0..ATTEMPTS {
            let seen = self.ports.policy(side).await?;
            let Some(policy) = with_statement(seen.as_deref(), &deny.statement).map_err(refused(side))? else {
                return Ok(());
            };
            let again = self.ports.policy(side).await?;
            if !is_same(seen.as_deref(), again.as_deref()) {
                continue;
            }
            self.ports.put_policy(side, Some(&policy)).await?;
            for _ in 0..READS {
                if self.has_statement(side, deny).await? {
                    return Ok(());
                }
                self.pause().await?;
            }
        }
        let sid = deny.sid.clone();
        Err(CutoverRefusal::PolicyContended { side, sid }.into())
    }

    /// Removes the statements with a Sid, and no other part of the policy.
    pub(super) async fn remove_statement(&self, side: SideName, sid: &str) -> Result<(), P::Error> {
        for _ in 0..ATTEMPTS {
            let seen = self.ports.policy(side).await?;
            let policy = match without_statement(seen.as_deref(), sid).map_err(refused(side))? {
                StatementRemoval::Absent => return Ok(()),
                StatementRemoval::Write(policy) => Some(policy),
                StatementRemoval::DeletePolicy => None,
            };
            let again = self.ports.policy(side).await?;
            if !is_same(seen.as_deref(), again.as_deref()) {
                continue;
            }
            self.ports.put_policy(side, policy.as_deref()).await?;
            for _ in 0..READS {
                let after = self.ports.policy(side).await?;
                if without_statement(after.as_deref(), sid).map_err(refused(side))? == StatementRemoval::Absent {
                    return Ok(());
                }
                self.pause().await?;
            }
        }
        let sid = sid.to_owned();
        Err(CutoverRefusal::PolicyContended { side, sid }.into())
    }

    /// Waits a part of the settle time.
    pub(super) async fn pause(&self) -> Result<(), P::Error> {
        self.ports.sleep(self.options.settle / self.options.probes.max(1)).await
    }

    /// Probes until `is_met` holds several times in a row, because policies take effect with delay.
    pub(super) async fn probe_until(
        &self,
        side: SideName,
        is_met: impl Fn(&ProbeRound) -> bool + Send,
    ) -> Result<(ProbeRound, StepOutcome), P::Error> {
        let needed = self.options.probes.max(1);
        let (mut in_a_row, mut rounds) = (0, 0);
        loop {
            let round = self.ports.probe(side).await?;
            rounds += 1;
            in_a_row = if is_met(&round) { in_a_row + 1 } else { 0 };
            if in_a_row >= needed || rounds >= 3 * needed {
                let outcome = StepOutcome::met()
                    .with("probes", rounds)
                    .with("probes_in_a_row", in_a_row)
                    .with("probed_operations", round.denied.len() + round.allowed.len());
                let is_met = in_a_row >= needed;
                return Ok((if is_met { ProbeRound::default() } else { round }, outcome));
            }
            self.pause().await?;
        }
    }
}

fn refused(side: SideName) -> impl Fn(BucketPolicyError) -> CutoverRefusal {
    move |error| CutoverRefusal::Policy { side, error }
}
