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
pub use manifest::{FileFormat, Manifest, ReportFile};
pub use md5sum::Md5Sum;
pub use row::{EncryptionStatus, Row};
pub use sorted::{Counts, SortedRows, Tally};
