#![doc = include_str!("../README.md")]

mod admit;
mod bucket;
mod columnar;
mod columns;
mod delimited;
mod error;
mod fetch;
mod inventory;
mod manifest;
mod md5sum;
mod row;
mod sort;
mod sorted;

pub use bucket::{Directory, InventoryBucket};
pub use error::InventoryError;
pub use inventory::{Inventory, ReadOptions};
pub use manifest::{FileFormat, InventoryFile, InventoryManifest};
pub use md5sum::Md5Sum;
pub use row::{EncryptionStatus, InventoryRow};
pub use sorted::{InventoryCounts, InventoryStatistics, SortedRows};
