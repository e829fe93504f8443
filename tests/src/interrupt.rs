//! Signals that interrupt a program.

use tokio::signal::unix::{SignalKind, signal};

use crate::{HarnessError, Result};

/// Waits for SIGINT or SIGTERM, so that `Drop` ends every process that was started.
pub async fn interrupted() -> Result<()> {
    let listen = |kind| signal(kind).map_err(HarnessError::io("listening for signals"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
