//! The files of a completion report, checked before anything in them counts.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};

use md5::{Digest as _, Md5};
use s3ferry_core::batch_report::{CompletionReportError, CompletionReportFile, TaskRow, rows};

use crate::exit::CliError;

/// Reads the rows of a file that is called `name`, once it is the one that the report's index names.
pub(crate) fn checked_rows(
    mut file: File,
    name: &str,
    named: &CompletionReportFile,
    wrong: impl Fn(CompletionReportError) -> CliError,
) -> Result<impl Iterator<Item = Result<TaskRow, CompletionReportError>>, CliError> {
    let unreadable = || CliError::unreadable(format!("read {name}"));
    let mut hash = Md5::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(unreadable())?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
    }
    let md5 = format!("{:032x}", u128::from_be_bytes(hash.finalize().into()));
    named.check_md5(&md5).map_err(wrong)?;
    file.rewind().map_err(unreadable())?;
    Ok(rows(name, BufReader::new(file)))
}
