//! The operator's command line of s3ferry.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Serves many threads without a lock between them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    s3ferry_cli::run(std::env::args_os())
}
