//! Ctrl-C and SIGTERM: the first one lets the command finish its work, the second one ends it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::progress::print_message;

/// How long copies may continue after an interrupt.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// Returns whether the command was interrupted.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on, for a command that copies objects or for one that does not. Must be called within the runtime.
    pub fn listen(copies: bool) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupts, mut terminations) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
            };
            next().await;
            print_message(&stopping(copies));
            sender.send_replace(true);
            next().await;
            if copies {
                print_message(LEFT);
            }
            std::process::exit(130);
        });
        Ok(Self(receiver))
    }

    /// Never interrupts, for tests.
    #[must_use]
    pub fn never() -> Self {
        let (sender, receiver) = watch::channel(false);
        drop(sender);
        Self(receiver)
    }

    /// Is interrupted by sending `true`, for tests.
    #[cfg(test)]
    pub(crate) fn manual() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Returns an interrupt that occurs with this one, or when the command itself stops its work.
    #[must_use]
    pub fn linked(&self) -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        let stopper = Stopper(Arc::new(sender));
        let (first, forwarded) = (self.clone(), stopper.clone());
        tokio::spawn(async move {
            first.wait().await;
            forwarded.stop();
        });
        (stopper, Self(receiver))
    }

    /// Returns whether the command was interrupted.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the interrupt.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|interrupted| *interrupted).await.is_err() {
            // The sender is gone, so no interrupt will come.
            std::future::pending::<()>().await;
        }
    }
}

/// Stops the work of a command from within.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// Asks to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Warning of a second Ctrl-C during copies.
const LEFT: &str = "ended at once: multipart uploads may remain at the destination and cost storage\n  \
                    next: run the same command again: with the same --state-bucket it resumes journaled uploads, and it \
                    aborts its own uploads of keys that it copies. A lifecycle rule with AbortIncompleteMultipartUpload \
                    removes the rest. Do not abort uploads of the replicator or of applications";

fn stopping(copies: bool) -> String {
    if copies {
        format!(
            "stopping: copies in progress are finished or journaled within about {} seconds; a second Ctrl-C ends at \
             once, and can leave multipart uploads behind",
            GRACE.as_secs()
        )
    } else {
        "stopping; a second Ctrl-C ends at once".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_only_with_an_interrupt() {
        let (sender, interrupt) = Interrupt::manual();
        assert!(!interrupt.is_set());
        let waiting = tokio::spawn({
            let interrupt = interrupt.clone();
            async move { interrupt.wait().await }
        });
        sender.send_replace(true);
        waiting.await.unwrap();
        assert!(interrupt.is_set());
        let never = Interrupt::never();
        let (stopper, linked) = never.linked();
        stopper.stop();
        linked.wait().await;
        tokio::select! {
            () = never.wait() => panic!("no interrupt was sent"),
            () = tokio::task::yield_now() => {}
        }
    }
}
