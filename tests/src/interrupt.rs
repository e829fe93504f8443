//! The signals that ask a program to end.

use tokio::signal::unix::{SignalKind, signal};

use crate::{HarnessError, Result};

/// Waits for an interrupt or a request to terminate, so that whatever was started is ended by its `Drop`.
pub async fn interrupted() -> Result<()> {
    let listen = |kind| signal(kind).map_err(HarnessError::io("listening for signals"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
