//! Columns that a comparison reads, and their positions in a file.
//!
//! CSV reports name columns as in `LastModifiedDate`, the other formats as in `last_modified_date`. Without case and
//! underscores the names are equal.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::InventoryError;

/// Column of a report that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Column {
    Bucket,
    IsLatest,
    IsDeleteMarker,
    Key,
    VersionId,
    Size,
    LastModified,
    ETag,
    StorageClass,
    Multipart,
    Encryption,
    AccessTier,
    ChecksumAlgorithm,
}

use Column::{
    AccessTier, Bucket, ChecksumAlgorithm, ETag, Encryption, IsDeleteMarker, IsLatest, Key, LastModified, Multipart,
    Size, StorageClass, VersionId,
};

/// Columns that S3 Inventory may include, but that are not read.
const UNREAD: &[&str] = &[
    "bucketkeystatus",
    "lifecycleexpirationdate",
    "objectaccesscontrollist",
    "objectlocklegalholdstatus",
    "objectlockmode",
    "objectlockretainuntildate",
    "objectowner",
    "replicationstatus",
];

impl Column {
    /// All columns, in the order of [`READ_SCHEMA`]. The columns that only the row filter needs are first.
    pub(crate) const ALL: [Self; 13] = [
        Bucket,
        IsLatest,
        IsDeleteMarker,
        Key,
        VersionId,
        Size,
        LastModified,
        ETag,
        StorageClass,
        Multipart,
        Encryption,
        AccessTier,
        ChecksumAlgorithm,
    ];
    /// Number of columns that are dropped after the filter.
    pub(crate) const DECIDING: usize = 2;

    /// Returns the name of the column in CSV reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Bucket => "Bucket",
            IsLatest => "IsLatest",
            IsDeleteMarker => "IsDeleteMarker",
            Key => "Key",
            VersionId => "VersionId",
            Size => "Size",
            LastModified => "LastModifiedDate",
            ETag => "ETag",
            StorageClass => "StorageClass",
            Multipart => "IsMultipartUploaded",
            Encryption => "EncryptionStatus",
            AccessTier => "IntelligentTieringAccessTier",
            ChecksumAlgorithm => "ChecksumAlgorithm",
        }
    }

    /// Returns whether `name` is a name of the column.
    pub(crate) fn is_named(self, name: &str) -> bool {
        plain(self.name()) == plain(name)
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            IsLatest | IsDeleteMarker | Multipart => DataType::Boolean,
            Size => DataType::Int64,
            LastModified => DataType::Timestamp(TimeUnit::Millisecond, None),
            Bucket | Key | VersionId | ETag | StorageClass | Encryption | AccessTier | ChecksumAlgorithm => {
                DataType::Utf8
            }
        }
    }

    /// Returns the index of the column in [`READ_SCHEMA`].
    pub(crate) fn read_index(self) -> usize {
        self as usize
    }

    /// Returns the index of the column in [`SORTED_SCHEMA`]. It is meaningless for columns that are dropped.
    pub(crate) fn sorted_index(self) -> usize {
        (self as usize).saturating_sub(Self::DECIDING)
    }
}

/// Schema of the rows as they are read. All columns are nullable: missing values are found later, by row.
pub(crate) static READ_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema(&Column::ALL));

/// Schema of the rows as they are sorted.
pub(crate) static SORTED_SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| schema(Column::ALL.get(Column::DECIDING..).unwrap_or(&[])));

fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| Field::new(column.name(), column.data_type(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Positions of the columns in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnLayout {
    positions: [Option<usize>; Column::ALL.len()],
    /// Number of columns in the file.
    pub(crate) width: usize,
    /// Names that are not known columns of S3 Inventory.
    pub(crate) unknown: Vec<String>,
}

impl ColumnLayout {
    /// Finds the columns among the `names` in `file`.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>, file: &str) -> Result<Self, InventoryError> {
        let mut layout = Self {
            positions: [None; Column::ALL.len()],
            width: 0,
            unknown: Vec::new(),
        };
        for (position, name) in names.enumerate() {
            layout.width = position + 1;
            let Some(column) = Column::ALL.into_iter().find(|column| column.is_named(name)) else {
                if !UNREAD.contains(&plain(name).as_str()) {
                    layout.unknown.push(name.to_owned());
                }
                continue;
            };
            if let Some(slot) = layout.positions.get_mut(column.read_index())
                && slot.replace(position).is_some()
            {
                return Err(InventoryError::RepeatedColumn {
                    file: file.to_owned(),
                    column: column.name(),
                });
            }
        }
        layout.check(file)?;
        Ok(layout)
    }

    /// Returns the position of a column in the file.
    pub(crate) fn position(&self, column: Column) -> Option<usize> {
        self.positions.get(column.read_index()).copied().flatten()
    }

    /// Returns whether the file contains all versions, so that each row must have `IsLatest`.
    pub(crate) fn has_versions(&self) -> bool {
        self.has(IsLatest)
    }

    fn has(&self, column: Column) -> bool {
        self.position(column).is_some()
    }

    fn check(&self, file: &str) -> Result<(), InventoryError> {
        let always = [Bucket, Key, Size, LastModified, ETag];
        // A report of all versions must identify the current ones. A report of current versions has no such column.
        let with_versions = [IsLatest, IsDeleteMarker];
        let versions = [VersionId, IsLatest, IsDeleteMarker]
            .into_iter()
            .any(|column| self.has(column));
        let needed = always.into_iter().chain(with_versions.into_iter().filter(|_| versions));
        match needed.into_iter().find(|column| !self.has(*column)) {
            None => Ok(()),
            Some(column) => Err(InventoryError::MissingColumn {
                file: file.to_owned(),
                column: column.name(),
            }),
        }
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| *letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_identify_the_same_columns() {
        let csv = ColumnLayout::of("Bucket,Key,Size,ETag,LastModifiedDate".split(','), "file").unwrap();
        let orc = ColumnLayout::of("bucket,key,size,e_tag,last_modified_date".split(','), "file").unwrap();
        assert_eq!(csv, orc);
        assert_eq!(csv.position(Column::LastModified), Some(4));
    }

    #[test]
    fn unknown_columns_are_listed_and_unread_ones_are_not() {
        let names = "Bucket,Key,Size,ETag,LastModifiedDate,Flavour,ReplicationStatus";
        let layout = ColumnLayout::of(names.split(','), "file").unwrap();
        assert_eq!(layout.unknown, ["Flavour"]);
        assert_eq!(layout.width, 7);
    }

    #[test]
    fn column_indexes_match_the_schemas() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column.read_index(), index);
            assert_eq!(READ_SCHEMA.field(index).name(), column.name());
            if index >= Column::DECIDING {
                assert_eq!(SORTED_SCHEMA.field(column.sorted_index()).name(), column.name());
            }
        }
    }
}
