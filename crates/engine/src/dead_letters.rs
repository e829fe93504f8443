//! Lists, redrives and drops dead letters.

use std::collections::BTreeSet;
use std::future::Future;

use s3ferry_core::dead_letter::RawDeadLetter;
use s3ferry_core::event::ReceiptHandle;
use s3ferry_core::failure::Failure;

/// A dead-letter queue.
pub trait DeadLetterQueue: Send + Sync {
    /// Receives some messages, which stay hidden for a while. None means that no message is visible.
    fn receive(&self) -> impl Future<Output = Result<Vec<RawDeadLetter>, Failure>> + Send;

    /// Makes a received message visible again.
    fn release(&self, receipt: &ReceiptHandle) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Deletes a received message.
    fn delete(&self, receipt: &ReceiptHandle) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The queue that dead letters are sent back to.
pub trait RedriveQueue: Send + Sync {
    /// Sends a message.
    fn send(&self, body: &str) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What to do with a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterAction {
    /// It stays in the dead-letter queue.
    Keep,
    /// It is sent to the queue, and then deleted.
    Redrive,
    /// It is deleted.
    Drop,
    /// It stays, and no more messages are read.
    Stop,
}

/// What was done with dead letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// Messages that were read.
    pub read: u64,
    /// Messages that were sent to the queue and deleted.
    pub redriven: u64,
    /// Messages that were deleted.
    pub dropped: u64,
}

/// Error that ended the work on dead letters.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] Failure),
    /// A message was sent to the queue, and its delete failed: it will be redriven once more, which changes nothing.
    #[error("message {id} was sent to the queue and is still in the dead-letter queue")]
    NotDeleted {
        /// ID of the message.
        id: String,
        /// Failure of the delete.
        source: Failure,
    },
}

/// Reads every visible dead letter once and does with it what `decide` says. Returns what was done, and the error that
/// ended the work.
///
/// A message is deleted only after it was sent, so that a crash repeats a message and loses none. Messages that stay are
/// made visible again at the end. A message whose release fails becomes visible after its visibility timeout.
pub async fn process_letters<Q: DeadLetterQueue, R: RedriveQueue>(
    letters: &Q,
    queue: &R,
    mut decide: impl FnMut(&RawDeadLetter) -> LetterAction,
) -> (LetterCounts, Result<(), LetterError>) {
    let mut counts = LetterCounts::default();
    let mut kept = Vec::new();
    let ended = process(letters, queue, &mut decide, &mut counts, &mut kept).await;
    for receipt in &kept {
        if let Err(failure) = letters.release(receipt).await {
            tracing::warn!(%failure, "a dead letter stays hidden until its visibility timeout ends");
        }
    }
    (counts, ended)
}

async fn process<Q: DeadLetterQueue, R: RedriveQueue>(
    letters: &Q,
    queue: &R,
    decide: &mut impl FnMut(&RawDeadLetter) -> LetterAction,
    counts: &mut LetterCounts,
    kept: &mut Vec<ReceiptHandle>,
) -> Result<(), LetterError> {
    let mut seen = BTreeSet::new();
    loop {
        let received = letters.receive().await?;
        if received.is_empty() {
            return Ok(());
        }
        let mut is_over = false;
        let mut received = received.into_iter();
        while let Some(letter) = received.next() {
            // A message that returns was hidden for too short: the queue was read to its end.
            if is_over || !seen.insert(letter.id.clone()) {
                is_over = true;
                kept.push(letter.receipt);
                continue;
            }
            counts.read += 1;
            let action = decide(&letter);
            if let Err(error) = act(letters, queue, action, &letter, counts).await {
                kept.push(letter.receipt);
                kept.extend(received.map(|letter| letter.receipt));
                return Err(error);
            }
            if matches!(action, LetterAction::Keep | LetterAction::Stop) {
                kept.push(letter.receipt);
            }
            is_over = action == LetterAction::Stop;
        }
        if is_over {
            return Ok(());
        }
    }
}

async fn act<Q: DeadLetterQueue, R: RedriveQueue>(
    letters: &Q,
    queue: &R,
    action: LetterAction,
    letter: &RawDeadLetter,
    counts: &mut LetterCounts,
) -> Result<(), LetterError> {
    match action {
        LetterAction::Keep | LetterAction::Stop => {}
        LetterAction::Redrive => {
            queue.send(&letter.redrive_body()).await?;
            let deleted = letters.delete(&letter.receipt).await;
            deleted.map_err(|source| LetterError::NotDeleted {
                id: letter.id.clone(),
                source,
            })?;
            counts.redriven += 1;
        }
        LetterAction::Drop => {
            letters.delete(&letter.receipt).await?;
            counts.dropped += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use s3ferry_core::failure::FailureKind;

    use super::*;

    /// A queue that logs every request, and fails a chosen one.
    #[derive(Default)]
    struct FakeQueues {
        visible: Mutex<Vec<&'static str>>,
        log: Mutex<Vec<String>>,
        failing: Option<&'static str>,
    }

    impl FakeQueues {
        fn with(visible: &[&'static str], failing: Option<&'static str>) -> Self {
            Self {
                visible: Mutex::new(visible.to_vec()),
                log: Mutex::default(),
                failing,
            }
        }

        fn done(&self, request: String) -> Result<(), Failure> {
            let is_failing = self.failing == Some(request.as_str());
            self.log.lock().unwrap().push(request);
            if !is_failing {
                return Ok(());
            }
            Err(Failure {
                kind: FailureKind::Retry,
                code: "InternalError".into(),
                action: "sqs".to_owned(),
                resource: "queue".to_owned(),
                detail: "failed".to_owned(),
            })
        }

        fn log(&self) -> Vec<String> {
            self.log.lock().unwrap().clone()
        }
    }

    impl DeadLetterQueue for FakeQueues {
        async fn receive(&self) -> Result<Vec<RawDeadLetter>, Failure> {
            let mut visible = self.visible.lock().unwrap();
            let left = visible.len().saturating_sub(2);
            let received = visible.split_off(left);
            let letter = |id: &str| RawDeadLetter {
                id: id.to_owned(),
                receipt: ReceiptHandle::new(id).unwrap(),
                body: format!("body of {id}"),
                sent: None,
                first_received: None,
                receives: 1,
                attributes: BTreeMap::new(),
            };
            Ok(received.into_iter().rev().map(letter).collect())
        }

        async fn release(&self, receipt: &ReceiptHandle) -> Result<(), Failure> {
            self.done(format!("release {}", receipt.as_str()))
        }

        async fn delete(&self, receipt: &ReceiptHandle) -> Result<(), Failure> {
            self.done(format!("delete {}", receipt.as_str()))
        }
    }

    impl RedriveQueue for FakeQueues {
        async fn send(&self, body: &str) -> Result<(), Failure> {
            self.done(format!("send {body}"))
        }
    }

    async fn process_all(
        queues: &FakeQueues,
        decide: impl Fn(&str) -> LetterAction,
    ) -> (LetterCounts, Result<(), LetterError>) {
        process_letters(queues, queues, |letter| decide(&letter.id)).await
    }

    #[tokio::test]
    async fn message_is_deleted_after_it_was_sent_and_others_become_visible_again() {
        let queues = FakeQueues::with(&["c", "b", "a"], None);
        let (counts, ended) = process_all(&queues, |id| match id {
            "a" => LetterAction::Redrive,
            "b" => LetterAction::Keep,
            _ => LetterAction::Drop,
        })
        .await;
        ended.unwrap();
        assert_eq!((counts.read, counts.redriven, counts.dropped), (3, 1, 1));
        assert_eq!(queues.log(), ["send body of a", "delete a", "delete c", "release b"]);
    }

    #[tokio::test]
    async fn message_that_was_not_sent_is_not_deleted() {
        let queues = FakeQueues::with(&["c", "b", "a"], Some("send body of a"));
        let (counts, ended) = process_all(&queues, |_| LetterAction::Redrive).await;
        assert!(matches!(ended, Err(LetterError::Request(_))), "{ended:?}");
        assert_eq!((counts.read, counts.redriven), (1, 0));
        assert_eq!(queues.log(), ["send body of a", "release a", "release b"]);
    }

    #[tokio::test]
    async fn message_that_was_sent_and_not_deleted_is_reported() {
        let queues = FakeQueues::with(&["a"], Some("delete a"));
        let (counts, ended) = process_all(&queues, |_| LetterAction::Redrive).await;
        assert!(matches!(ended, Err(LetterError::NotDeleted { id, .. }) if id == "a"));
        assert_eq!(counts.redriven, 0);
    }

    #[tokio::test]
    async fn every_message_is_read_once_although_it_returns() {
        let queues = FakeQueues::with(&["b", "a", "b", "a"], None);
        let (counts, ended) = process_all(&queues, |_| LetterAction::Keep).await;
        ended.unwrap();
        assert_eq!(counts.read, 2);
        let stopped = FakeQueues::with(&["c", "b", "a"], None);
        let (counts, _) = process_all(&stopped, |_| LetterAction::Stop).await;
        assert_eq!(
            (counts.read, stopped.log()),
            (1, vec!["release a".to_owned(), "release b".to_owned()])
        );
    }
}
