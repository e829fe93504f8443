//! What stands for inventories in a build without them: every bucket is listed.

use clap::Args;
use s3ferry_aws::client::Clients;
use s3ferry_core::diff::SideName;
use serde_json::Value;

use crate::bucket_side::BucketSide;
use crate::exit::CliError;
use crate::files::FileLocation;
use crate::rows::BoxedRowSource;

/// No flags.
#[derive(Debug, Clone, Args)]
pub struct InventoryArgs {}

impl InventoryArgs {
    /// Returns no manifests.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &Option<FileLocation>); 0] {
        []
    }
}

/// No reports.
#[derive(Debug, Clone, Default)]
pub struct Inventories {}

#[expect(clippy::unused_async, reason = "the same face as with inventories")]
impl Inventories {
    /// Opens nothing.
    pub async fn open(
        _args: &InventoryArgs,
        _clients: &Clients,
        _source: &BucketSide,
        _destination: Option<&BucketSide>,
    ) -> Result<Self, CliError> {
        Ok(Self {})
    }

    /// Returns `None`: the side is listed.
    #[must_use]
    pub fn rows(&self, _side: SideName) -> Option<BoxedRowSource> {
        None
    }

    /// Returns no lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns `null`.
    #[must_use]
    pub fn json(&self, _side: SideName) -> Value {
        Value::Null
    }
}
