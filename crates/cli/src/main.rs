//! The operator's command line of s3ferry.

use std::process::ExitCode;

fn main() -> ExitCode {
    s3ferry_cli::run(std::env::args_os())
}
