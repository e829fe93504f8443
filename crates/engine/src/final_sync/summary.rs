//! The sum of a run's results, made in as many invocations as it takes.

use std::pin::pin;

use futures::TryStreamExt as _;
use s3ferry_core::batch_operations::{FinalSyncSummary, PartialSummary, RunEnd};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::time::Timestamp;
use serde::Serialize;

use super::{FinalSync, FinalSyncError, JobTerms};
use crate::batch::BatchReconciler;
use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::results::{ResultStore, texts};

/// The answer at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEndResponse {
    /// Whether all results are added up; if not, the next invocation resumes.
    finished: bool,
    summary_key: String,
    #[serde(flatten)]
    summary: FinalSyncSummary,
}

impl<F, R, S, D, C, J, Q> FinalSync<F, R>
where
    F: Fn(&JobTerms) -> BatchReconciler<S, D, C, J, Q>,
    R: ResultStore,
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    /// Adds up the results of a run, as many as the time allows; the sum so far is kept for the next invocation.
    pub(super) async fn conclude(&self, end: RunEnd, deadline: Timestamp) -> Result<RunEndResponse, FinalSyncError> {
        let results = self.results()?;
        let folder = end.run.folder();
        let (so_far_key, summary_key) = (
            format!("{folder}/summary-so-far.json"),
            format!("{folder}/summary.json"),
        );
        let mut sum = if end.resume {
            let text = self.within(deadline, results.read(&so_far_key)).await?;
            serde_json::from_str(&text).map_err(|error| unreadable(&so_far_key, error.to_string()))?
        } else {
            PartialSummary::new(&end)
        };
        let began_after = sum.after.clone();
        let added = self.add_up(results, &folder, &mut sum, self.keep_back(deadline)).await;
        let finished = added.is_ok();
        match added {
            Ok(()) => {}
            // What was added is not lost: the next invocation resumes, and fails if it gets no further.
            Err(error) if sum.after != began_after => tracing::warn!(%error, "the summary is resumed"),
            Err(error) => return Err(error),
        }
        let kept = if finished {
            (&summary_key, spelled(&summary_key, &sum.summary)?)
        } else {
            (&so_far_key, spelled(&so_far_key, &sum)?)
        };
        self.within(deadline, results.write(kept.0, kept.1)).await?;
        // The state machine's history is short of room; the failures are in the object.
        sum.summary.failures.clear();
        Ok(RunEndResponse {
            finished,
            summary_key,
            summary: sum.summary,
        })
    }

    async fn add_up(
        &self,
        results: &R,
        folder: &str,
        sum: &mut PartialSummary,
        until: Timestamp,
    ) -> Result<(), FinalSyncError> {
        let prefix = format!("{folder}/results/");
        let mut texts = pin!(texts(results, &prefix, sum.after.clone()));
        while let Some((name, text)) = self.within(until, texts.try_next()).await? {
            sum.summary.add(&text);
            sum.after = Some(name);
        }
        Ok(())
    }
}

fn spelled(name: &str, value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| unreadable(name, error.to_string()))
}

fn unreadable(name: &str, detail: String) -> Failure {
    Failure {
        kind: FailureKind::Bug,
        code: "SummaryNotReadable".to_owned(),
        action: "add the results up".to_owned(),
        resource: name.to_owned(),
        detail,
    }
}
