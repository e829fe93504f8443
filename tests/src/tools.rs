//! Where the pinned tools and the built functions are.

use std::path::{Path, PathBuf};

use crate::{HarnessError, Result};

/// The repository's root folder. `cargo` and the test runner say where this crate is now; a binary that is started by
/// hand remembers where it was built.
#[must_use]
pub fn repository() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_owned()
}

/// The emulator's executable; `MINISTACK_BIN` names another one.
pub fn ministack() -> Result<PathBuf> {
    find("MiniStack", "MINISTACK_BIN", "ministack/bin/ministack")
}

/// The SAM CLI; `SAM_BIN` names another one.
pub fn sam() -> Result<PathBuf> {
    find("the SAM CLI", "SAM_BIN", "sam/bin/sam")
}

/// The moto server; `MOTO_BIN` names another one.
pub fn moto() -> Result<PathBuf> {
    find("the moto server", "MOTO_BIN", "moto/bin/moto_server")
}

/// The Python interpreter of the emulator's environment, which has `boto3`.
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

/// The Python interpreter of the environment with the clients that the S3 simulator is tested with.
pub fn sim_python() -> Result<PathBuf> {
    find("the simulator's clients", "SIM_PYTHON", "sim-clients/bin/python")
}

/// A template of `infra/`.
#[must_use]
pub fn template(name: &str) -> PathBuf {
    repository().join("infra").join(name)
}

/// The sample events of the replicator, in order of their names.
pub fn sample_events() -> Result<Vec<PathBuf>> {
    let mut paths = all_samples()?;
    paths.retain(|path| !is_batch(path));
    Ok(paths)
}

/// The sample batches of the final sync, in order of their names.
pub fn sample_batches() -> Result<Vec<PathBuf>> {
    let mut paths = all_samples()?;
    paths.retain(|path| is_batch(path));
    Ok(paths)
}

/// Whether a sample is a batch, for the final sync rather than for the replicator.
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

/// The executable of a function as `make build` leaves it; `FUNCTIONS_DIR` names another folder than `target/lambda`.
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

/// The command line as `make build` leaves it; `S3FERRY_BIN` names another one.
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
