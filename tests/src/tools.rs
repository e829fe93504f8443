//! Paths of the pinned tools, the built functions and the CLI.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{HarnessError, Result};

/// Returns the root folder of the repository.
///
/// `cargo` and the test runner set the current path of the running crate. A binary that is started manually uses the
/// path of its build.
#[must_use]
pub fn repository() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.unwrap_or(here).to_owned()
}

/// Returns the executable of the emulator. `MINISTACK_BIN` overrides it.
pub fn ministack() -> Result<PathBuf> {
    find("MiniStack", "MINISTACK_BIN", "ministack/bin/ministack")
}

/// Returns the SAM CLI. `SAM_BIN` overrides it.
pub fn sam() -> Result<PathBuf> {
    find("the SAM CLI", "SAM_BIN", "sam/bin/sam")
}

/// Returns the moto server. `MOTO_BIN` overrides it.
pub fn moto() -> Result<PathBuf> {
    find("the moto server", "MOTO_BIN", "moto/bin/moto_server")
}

/// Returns the Python interpreter of the emulator's environment, which has `boto3`.
pub fn python() -> Result<PathBuf> {
    let path = ministack()?.with_file_name("python");
    if path.is_file() {
        Ok(path)
    } else {
        Err(HarnessError::ToolMissing {
            tool: "MiniStack's Python",
            path,
        })
    }
}

/// Returns the Python interpreter of the environment with the S3 simulator's test clients.
pub fn sim_python() -> Result<PathBuf> {
    find("the simulator's clients", "SIM_PYTHON", "sim-clients/bin/python")
}

/// Returns the path of a template in `infra/`.
#[must_use]
pub fn template(name: &str) -> PathBuf {
    repository().join("infra").join(name)
}

/// Returns the sample events of the replicator, ordered by name.
pub fn sample_events() -> Result<Vec<PathBuf>> {
    let mut paths = all_samples()?;
    paths.retain(|path| !is_batch(path));
    Ok(paths)
}

/// Returns the sample batches of the final sync, ordered by name.
pub fn sample_batches() -> Result<Vec<PathBuf>> {
    let mut paths = all_samples()?;
    paths.retain(|path| is_batch(path));
    Ok(paths)
}

/// Returns whether a sample is a batch of the final sync, and not an event of the replicator.
#[must_use]
pub fn is_batch(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.starts_with("batch-operations-") || name.starts_with("distributed-map-")
}

fn all_samples() -> Result<Vec<PathBuf>> {
    let folder = repository().join("events");
    let entries = std::fs::read_dir(&folder).map_err(HarnessError::io(format!("listing {}", folder.display())))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

/// Returns the executable of a function from `make build`. `FUNCTIONS_DIR` overrides the folder `target/lambda`.
pub fn function(name: &str) -> Result<PathBuf> {
    let folder =
        std::env::var_os("FUNCTIONS_DIR").map_or_else(|| repository().join("target").join("lambda"), PathBuf::from);
    let path = folder.join(name).join("bootstrap");
    if path.is_file() {
        Ok(path)
    } else {
        Err(HarnessError::BinaryMissing { path })
    }
}

/// Returns a command that runs a function's binary. `FUNCTION_RUNNER` is a program with arguments that runs binaries of
/// another architecture.
#[must_use]
pub fn function_command(binary: &Path) -> Command {
    let runner = std::env::var("FUNCTION_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(program) = words.next() else {
        return Command::new(binary);
    };
    let mut command = Command::new(program);
    command.args(words).arg(binary);
    command
}

/// Returns the CLI from `make build`. `S3FERRY_BIN` overrides it.
pub fn cli() -> Result<PathBuf> {
    let built = || repository().join("target").join("release").join("s3ferry");
    let path = std::env::var_os("S3FERRY_BIN").map_or_else(built, PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        Err(HarnessError::BinaryMissing { path })
    }
}

fn find(tool: &'static str, variable: &str, below_tools: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| repository().join(".tools").join(below_tools), PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        Err(HarnessError::ToolMissing { tool, path })
    }
}
