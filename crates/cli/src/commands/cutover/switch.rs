//! The drivers that point applications to a bucket.

use std::process::Command;

use s3ferry_core::diff::SideName;

use super::args::{CutoverSwitchArgs, SwitchDriverArg};
use super::output;
use crate::bucket_side::BucketSide;
use crate::exit::CliError;
use crate::interrupt::Interrupt;
use crate::progress::print_message;
use crate::sides::BucketPair;

/// A driver, and what it last received.
#[derive(Debug)]
pub(super) struct ApplicationSwitch {
    args: CutoverSwitchArgs,
    is_confirmed: bool,
    confirmed: std::sync::Mutex<Option<SideName>>,
}

impl ApplicationSwitch {
    pub(super) fn new(args: CutoverSwitchArgs, is_confirmed: bool) -> Self {
        Self {
            args,
            is_confirmed,
            confirmed: std::sync::Mutex::new(None),
        }
    }

    pub(super) async fn set(&self, side: SideName, sides: &BucketPair, interrupt: &Interrupt) -> Result<(), CliError> {
        let bucket = of(side, sides);
        if self.args.switch == SwitchDriverArg::Command {
            return self.runs("set", bucket).await.map(drop);
        }
        let text = format!(
            "Point all applications to the bucket {} in {}:\n  endpoint  https://{}.s3.{}.amazonaws.com\n  \
             AWS CLI   aws s3 ls s3://{} --region {}",
            bucket.location.bucket,
            bucket.region,
            bucket.location.bucket,
            bucket.region,
            bucket.location.bucket,
            bucket.region
        );
        let is_done = if self.is_confirmed {
            print_message(&text);
            true
        } else {
            output::asks(&format!("{text}\nAll applications use this bucket?"), interrupt).await?
        };
        if let Ok(mut confirmed) = self.confirmed.lock() {
            *confirmed = is_done.then_some(side);
        }
        Ok(())
    }

    pub(super) async fn get(&self, sides: &BucketPair) -> Result<Option<SideName>, CliError> {
        if self.args.switch == SwitchDriverArg::Manual {
            return Ok(self.confirmed.lock().ok().and_then(|confirmed| *confirmed));
        }
        let printed = self.runs("get", &sides.destination).await?;
        let bucket = printed.lines().last().unwrap_or_default().trim();
        let mut all = [SideName::Source, SideName::Destination].into_iter();
        Ok(all.find(|side| of(*side, sides).location.bucket.as_str() == bucket))
    }

    async fn runs(&self, action: &str, side: &BucketSide) -> Result<String, CliError> {
        let text = self.args.switch_command.clone().unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-c", &text])
            .env("S3FERRY_SWITCH_ACTION", action)
            .env("S3FERRY_SWITCH_BUCKET", side.location.bucket.as_str())
            .env("S3FERRY_SWITCH_REGION", side.region.as_str())
            .stderr(std::process::Stdio::inherit());
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let ran = ran.map_err(|error| CliError::Bug(error.to_string()))?;
        let ran = ran.map_err(CliError::file("run the switch command"))?;
        if !ran.status.success() {
            return Err(CliError::setup(
                format!(
                    "the switch command failed to {action} the bucket {}: {}",
                    side.location.bucket, ran.status
                ),
                "correct the command of --switch-command, and run the same command again",
            ));
        }
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }
}

fn of(side: SideName, sides: &BucketPair) -> &BucketSide {
    match side {
        SideName::Source => &sides.source,
        SideName::Destination => &sides.destination,
    }
}
