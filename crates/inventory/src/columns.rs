//! The columns a comparison reads, and where a file has them.
//!
//! CSV reports name columns as in `LastModifiedDate`, the others as in `last_modified_date`: without case and underscores
//! the names are the same.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::InventoryError;

/// A column of a report that is read.
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

/// Columns that S3 may include and nothing here reads.
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
    /// In the order of [`READ_SCHEMA`]; those that only decide whether a row counts come first.
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
    /// How many columns are dropped once a row is known to count.
    pub(crate) const DECIDING: usize = 2;

    /// Returns the name in CSV reports.
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

    /// Tells whether a file's column of this name is meant.
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

    /// Returns where the column stands in batches that were read.
    pub(crate) fn read_index(self) -> usize {
        self as usize
    }

    /// Returns where the column stands in batches of rows that count; meaningless for those that decide it.
    pub(crate) fn sorted_index(self) -> usize {
        (self as usize).saturating_sub(Self::DECIDING)
    }
}

/// What a file's rows are read into, whatever they lack: that is found out later, by row.
pub(crate) static READ_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema(&Column::ALL));

/// What is sorted.
pub(crate) static SORTED_SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| schema(Column::ALL.get(Column::DECIDING..).unwrap_or(&[])));

fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| Field::new(column.name(), column.data_type(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Where a file has the columns that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnLayout {
    positions: [Option<usize>; Column::ALL.len()],
    /// How many columns the file has.
    pub(crate) width: usize,
    /// Names that S3 is not known to use.
    pub(crate) unknown: Vec<String>,
}

impl ColumnLayout {
    /// Finds the columns among `names`, which `file` holds.
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

    /// Returns where the file has a column.
    pub(crate) fn position(&self, column: Column) -> Option<usize> {
        self.positions.get(column.read_index()).copied().flatten()
    }

    /// Tells whether the file has all versions, and so must say of each row whether it is current.
    pub(crate) fn has_versions(&self) -> bool {
        self.has(IsLatest)
    }

    fn has(&self, column: Column) -> bool {
        self.position(column).is_some()
    }

    fn check(&self, file: &str) -> Result<(), InventoryError> {
        let always = [Bucket, Key, Size, LastModified, ETag];
        // A report of all versions must say which of them are current; one of current versions says nothing of it.
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
    fn both_spellings_name_the_same_columns() {
        let csv = ColumnLayout::of("Bucket,Key,Size,ETag,LastModifiedDate".split(','), "file").unwrap();
        let orc = ColumnLayout::of("bucket,key,size,e_tag,last_modified_date".split(','), "file").unwrap();
        assert_eq!(csv, orc);
        assert_eq!(csv.position(Column::LastModified), Some(4));
    }

    #[test]
    fn unknown_columns_are_named_and_unread_ones_are_not() {
        let names = "Bucket,Key,Size,ETag,LastModifiedDate,Flavour,ReplicationStatus";
        let layout = ColumnLayout::of(names.split(','), "file").unwrap();
        assert_eq!(layout.unknown, ["Flavour"]);
        assert_eq!(layout.width, 7);
    }

    #[test]
    fn columns_stand_where_the_schemas_say() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column.read_index(), index);
            assert_eq!(READ_SCHEMA.field(index).name(), column.name());
            if index >= Column::DECIDING {
                assert_eq!(SORTED_SCHEMA.field(column.sorted_index()).name(), column.name());
            }
        }
    }
}
