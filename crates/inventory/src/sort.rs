//! Sort of a report with `DataFusion`, within limits of memory and disk.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion_common::DataFusionError;
use datafusion_common::config::SpillCompression;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion_execution::memory_pool::GreedyMemoryPool;
use datafusion_execution::runtime_env::RuntimeEnvBuilder;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::PhysicalSortExpr;
use datafusion_physical_expr::expressions::Column as Reference;
use datafusion_physical_plan::ExecutionPlan;
use datafusion_physical_plan::sorts::sort::SortExec;
use datafusion_physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion_physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::StreamExt;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::admit::{ReadBatch, RowFilter};
use crate::bucket::InventoryBucket;
use crate::columnar::ColumnarBatches;
use crate::columns::{Column, SORTED_SCHEMA};
use crate::delimited::CsvBatches;
use crate::error::InventoryError;
use crate::fetch::{check, fetch};
use crate::manifest::{InventoryFile, InventoryManifest};

/// Number of rows per batch. At a few hundred bytes per row, a batch has 1 to 2 MB.
const BATCH_ROWS: usize = 8192;

/// Number of batches that wait between two tasks.
const BATCHES_IN_FLIGHT: usize = 2;

/// Limits of a sort.
#[derive(Debug, Clone)]
pub(crate) struct SortLimits {
    pub(crate) memory_bytes: usize,
    pub(crate) spill_bytes: u64,
    pub(crate) directory: PathBuf,
}

/// Starts to sort a report.
pub(crate) fn sort<B: InventoryBucket>(
    report: ReportSource<B>,
    limits: &SortLimits,
) -> Result<SendableRecordBatchStream, InventoryError> {
    begin(report, limits).map_err(InventoryError::from_engine)
}

fn begin<B: InventoryBucket>(
    report: ReportSource<B>,
    limits: &SortLimits,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![limits.directory.clone()]))
        .with_max_temp_directory_size(limits.spill_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let mut config = SessionConfig::new().with_batch_size(BATCH_ROWS);
    let execution = &mut config.options_mut().execution;
    execution.spill_compression = SpillCompression::Lz4Frame;
    // Reserved for the merge of the rows in memory before they are spilled, which needs a part of their size again.
    execution.sort_spill_reservation_bytes = limits.memory_bytes / 4;
    let context = Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime));

    let source = StreamingTableExec::try_new(
        Arc::clone(&SORTED_SCHEMA),
        vec![Arc::new(report)],
        None,
        [],
        false,
        None,
    )?;
    let by_key = PhysicalSortExpr::new(
        Arc::new(Reference::new(Column::Key.name(), Column::Key.sorted_index())),
        SortOptions::default(),
    );
    let sorted = SortExec::new([by_key].into(), Arc::new(source)).execute(0, context)?;
    Ok(in_background(sorted))
}

/// Runs a stream in its own task, so that both sides of a comparison are sorted concurrently.
fn in_background(mut stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStreamBuilder::new(stream.schema(), BATCHES_IN_FLIGHT);
    let output = builder.tx();
    builder.spawn(async move {
        while let Some(batch) = stream.next().await {
            if output.send(batch).await.is_err() {
                // The receiver was dropped.
                break;
            }
        }
        Ok(())
    });
    builder.build()
}

/// Report as an input of `DataFusion`.
pub(crate) struct ReportSource<B> {
    pub(crate) bucket: Arc<B>,
    pub(crate) manifest: Arc<InventoryManifest>,
    pub(crate) directory: PathBuf,
    pub(crate) admission: Arc<RowFilter>,
}

impl<B> Clone for ReportSource<B> {
    fn clone(&self) -> Self {
        Self {
            bucket: Arc::clone(&self.bucket),
            manifest: Arc::clone(&self.manifest),
            directory: self.directory.clone(),
            admission: Arc::clone(&self.admission),
        }
    }
}

impl<B> fmt::Debug for ReportSource<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Report")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl<B: InventoryBucket> PartitionStream for ReportSource<B> {
    fn schema(&self) -> &SchemaRef {
        &SORTED_SCHEMA
    }

    /// Fetches one file ahead of the file that is decoded. Each file is deleted after it is decoded.
    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&SORTED_SCHEMA), BATCHES_IN_FLIGHT);
        let (fetched_sender, mut fetched_receiver) = mpsc::channel(1);
        let fetching = self.clone();
        builder.spawn(async move {
            for file in &fetching.manifest.files {
                let fetched = fetch(fetching.bucket.as_ref(), &file.key, &fetching.directory).await?;
                if fetched_sender.send((file.clone(), fetched)).await.is_err() {
                    // Decoding failed and returns its own error.
                    break;
                }
            }
            Ok(())
        });
        let output = builder.tx();
        let decoding = self.clone();
        builder.spawn_blocking(move || {
            while let Some((file, fetched)) = fetched_receiver.blocking_recv() {
                decoding.decode(&file, &fetched, &output)?;
            }
            Ok(())
        });
        builder.build()
    }
}

type Output = mpsc::Sender<Result<RecordBatch, DataFusionError>>;

impl<B: InventoryBucket> ReportSource<B> {
    fn decode(&self, file: &InventoryFile, fetched: &NamedTempFile, output: &Output) -> Result<(), InventoryError> {
        let content = check(fetched, file, &self.directory)?;
        let name = file.key.as_str();
        if let Some(layout) = &self.manifest.csv_layout {
            self.admission.counters.unknown_columns(&layout.unknown);
            let mut batches = CsvBatches::new(name, content, layout, BATCH_ROWS);
            self.send_batches(|| batches.next(), output)
        } else {
            let mut batches = ColumnarBatches::new(name, content, self.manifest.format, BATCH_ROWS)?;
            self.admission.counters.unknown_columns(batches.unknown_columns());
            self.send_batches(|| batches.next(), output)
        }
    }

    fn send_batches<'a>(
        &self,
        mut next: impl FnMut() -> Result<Option<ReadBatch<'a>>, InventoryError>,
        output: &Output,
    ) -> Result<(), InventoryError> {
        while let Some(batch) = next()? {
            let admitted = self.admission.admit(&batch)?;
            if admitted.num_rows() > 0 && output.blocking_send(Ok(admitted)).is_err() {
                // The receiver was dropped.
                break;
            }
        }
        Ok(())
    }
}
