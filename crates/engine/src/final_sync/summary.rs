//! The summary of an execution's results, built in as many invocations as required.

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

/// The response at the end of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEndResponse {
    /// Whether the summary covers all results. If not, the next invocation resumes.
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
    /// Summarizes the results of an execution, as many as the time allows.
    ///
    /// A partial summary is stored for the next invocation.
    pub(super) async fn conclude(&self, end: RunEnd, deadline: Timestamp) -> Result<RunEndResponse, FinalSyncError> {
        let results = self.results()?;
        let folder = end.run.folder();
        let (so_far_key, summary_key) = (
            format!("{folder}/summary-so-far.json"),
            format!("{folder}/summary.json"),
        );
        let mut partial = if end.resume {
            let text = self.within(deadline, results.read(&so_far_key)).await?;
            serde_json::from_str(&text).map_err(|error| unreadable(&so_far_key, error.to_string()))?
        } else {
            PartialSummary::new(&end)
        };
        let began_after = partial.after.clone();
        let added = self
            .add_up(results, &folder, &mut partial, self.before_result_writes(deadline))
            .await;
        let finished = added.is_ok();
        match added {
            Ok(()) => {}
            // The partial summary is stored: the next invocation resumes it, and fails if it makes no progress.
            Err(error) if partial.after != began_after => {
                tracing::warn!(%error, "summary not finished, the next invocation resumes it");
            }
            Err(error) => return Err(error),
        }
        let kept = if finished {
            (&summary_key, spelled(&summary_key, &partial.summary)?)
        } else {
            (&so_far_key, spelled(&so_far_key, &partial)?)
        };
        self.within(deadline, results.write(kept.0, kept.1)).await?;
        // The size of an execution's history is limited; the object contains the failures.
        partial.summary.failures.clear();
        Ok(RunEndResponse {
            finished,
            summary_key,
            summary: partial.summary,
        })
    }

    async fn add_up(
        &self,
        results: &R,
        folder: &str,
        partial: &mut PartialSummary,
        until: Timestamp,
    ) -> Result<(), FinalSyncError> {
        let prefix = format!("{folder}/results/");
        let mut texts = pin!(texts(results, &prefix, partial.after.clone()));
        while let Some((name, text)) = self.within(until, texts.try_next()).await? {
            partial.summary.add(&text);
            partial.after = Some(name);
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
        code: "SummaryNotReadable".into(),
        action: "summarize the results".to_owned(),
        resource: name.to_owned(),
        detail,
    }
}
