//! The engine: what a report's files hold goes in, the same in order comes out, within limits of memory and disk.

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

/// How many rows go through the engine together: at a few hundred bytes a row, a batch is a megabyte or two.
const BATCH_ROWS: usize = 8192;

/// How many batches wait between two tasks.
const BATCHES_IN_FLIGHT: usize = 2;

/// What the engine may use.
#[derive(Debug, Clone)]
pub(crate) struct SortLimits {
    pub(crate) memory_bytes: usize,
    pub(crate) spill_bytes: u64,
    pub(crate) directory: PathBuf,
}

/// Begins to sort a report.
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
    // Held back for merging what is in memory before it is written out, which needs a part of its size again.
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

/// Drives a stream in a task of its own, so that two sides of a comparison are sorted at the same time.
fn in_background(mut stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStreamBuilder::new(stream.schema(), BATCHES_IN_FLIGHT);
    let output = builder.tx();
    builder.spawn(async move {
        while let Some(batch) = stream.next().await {
            if output.send(batch).await.is_err() {
                // Nobody reads on.
                break;
            }
        }
        Ok(())
    });
    builder.build()
}

/// A report as a source of the engine.
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

    /// Fetches one file ahead of the one that is decoded; each is gone from the disk once it is decoded.
    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&SORTED_SCHEMA), BATCHES_IN_FLIGHT);
        let (fetched_sender, mut fetched_receiver) = mpsc::channel(1);
        let fetching = self.clone();
        builder.spawn(async move {
            for file in &fetching.manifest.files {
                let fetched = fetch(fetching.bucket.as_ref(), &file.key, &fetching.directory).await?;
                if fetched_sender.send((file.clone(), fetched)).await.is_err() {
                    // Decoding failed and says so itself.
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
            self.pass_on(|| batches.next(), output)
        } else {
            let mut batches = ColumnarBatches::new(name, content, self.manifest.format, BATCH_ROWS)?;
            self.admission.counters.unknown_columns(batches.unknown_columns());
            self.pass_on(|| batches.next(), output)
        }
    }

    fn pass_on<'a>(
        &self,
        mut next: impl FnMut() -> Result<Option<ReadBatch<'a>>, InventoryError>,
        output: &Output,
    ) -> Result<(), InventoryError> {
        while let Some(batch) = next()? {
            let counted = self.admission.admit(&batch)?;
            if counted.num_rows() > 0 && output.blocking_send(Ok(counted)).is_err() {
                // Nobody reads on.
                break;
            }
        }
        Ok(())
    }
}
