//! Runs one program and measures its time, CPU time and peak memory, each with all its descendants.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use s3ferry_tests::HarnessError;
use tokio::process::Command;

use crate::error::{BenchResult, RunFailure};

/// Interval of reading the memory of all processes. The kernel keeps each one's peak, so little is missed.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Longest run of one program.
const TIMEOUT: Duration = Duration::from_mins(20);

/// Clock ticks per second of the times in `/proc`, the same on every platform of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Lines of a program's error output that a row of the report shows.
const LINES_SHOWN: usize = 3;

/// A program with its arguments and its environment.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine {
    /// Executable.
    pub(crate) program: PathBuf,
    /// Arguments.
    pub(crate) arguments: Vec<String>,
    /// Whole environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Exit codes of a successful run.
    pub(crate) accepted: &'static [i32],
    /// Start of an error line, for a program that can end with 0 after errors.
    pub(crate) error_mark: Option<&'static str>,
}

/// Measurement of a run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Time from the start of the process to its end.
    pub(crate) seconds: f64,
    /// User and system time of all processes.
    pub(crate) cpu_seconds: f64,
    /// Sum of the peaks of resident memory of all processes.
    pub(crate) peak_mib: f64,
    /// Standard output.
    pub(crate) output: String,
}

/// Runs a program in `folder`, which receives its output.
pub(crate) async fn run(command: &CommandLine, folder: &Path) -> std::result::Result<Run, RunFailure> {
    let (output, errors) = (folder.join("stdout"), folder.join("stderr"));
    let cpu_before = children_cpu_seconds()?;
    let begun = Instant::now();
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(create(&output)?)
        .stderr(create(&errors)?)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| RunFailure::Failed(format!("{} does not start: {error}", command.program.display())))?;
    let mut memory = TreeMemory::new(child.id());
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(HarnessError::io("waiting for a program"))?,
            () = tokio::time::sleep(POLL_INTERVAL) => memory.read(),
        }
        if begun.elapsed() > TIMEOUT {
            return Err(RunFailure::Failed(format!(
                "not finished after {} s",
                TIMEOUT.as_secs()
            )));
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let run = Run {
        seconds,
        cpu_seconds: children_cpu_seconds()? - cpu_before,
        peak_mib: memory.peak_mib(),
        output: read(&output)?,
    };
    let text = read(&errors)?;
    let is_marked = |mark: &str| text.lines().any(|line| line.starts_with(mark));
    let is_accepted = status.code().is_some_and(|code| command.accepted.contains(&code));
    if is_accepted && !command.error_mark.is_some_and(is_marked) {
        return Ok(run);
    }
    let lines: Vec<&str> = text
        .lines()
        .rev()
        .filter(|line| !line.is_empty())
        .take(LINES_SHOWN)
        .collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    Err(RunFailure::Failed(format!("{status}: {}", lines.join(" / "))))
}

fn create(path: &Path) -> BenchResult<File> {
    Ok(File::create(path).map_err(HarnessError::io(format!("creating {}", path.display())))?)
}

fn read(path: &Path) -> BenchResult<String> {
    let bytes = std::fs::read(path).map_err(HarnessError::io(format!("reading {}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the CPU time of all ended children of this process, with their own ended children.
fn children_cpu_seconds() -> BenchResult<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(HarnessError::io("reading /proc/self/stat"))?;
    Ok(ticks(&stat, [CUTIME, CSTIME]).unwrap_or(0.0) / TICKS_PER_SECOND)
}

/// Returns the CPU time of a running process and its ended children.
pub(crate) fn process_cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(ticks(&stat, [UTIME, STIME, CUTIME, CSTIME])? / TICKS_PER_SECOND)
}

/// Positions after the command name in `/proc/PID/stat`.
/// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
const UTIME: usize = 11;
const STIME: usize = 12;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

/// Returns the sum of fields of `/proc/PID/stat`.
fn ticks<const N: usize>(stat: &str, fields: [usize; N]) -> Option<f64> {
    // The command name in parentheses may contain any character, so fields are counted from its end.
    let (_, after_name) = stat.rsplit_once(')')?;
    let values: Vec<&str> = after_name.split_whitespace().collect();
    fields
        .into_iter()
        .map(|field| values.get(field)?.parse::<f64>().ok())
        .sum()
}

/// Peak memory of a process and its descendants.
struct TreeMemory {
    root: Option<u32>,
    peaks_kib: BTreeMap<u32, u64>,
}

impl TreeMemory {
    fn new(root: Option<u32>) -> Self {
        let mut memory = Self {
            root,
            peaks_kib: BTreeMap::new(),
        };
        memory.read();
        memory
    }

    fn read(&mut self) {
        let mut waiting: Vec<u32> = self.root.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(pid) = waiting.pop() {
            if !seen.insert(pid) {
                continue;
            }
            if let Some(peak) = peak_resident_kib(pid) {
                let known = self.peaks_kib.entry(pid).or_default();
                *known = peak.max(*known);
            }
            waiting.extend(children_of(pid));
        }
    }

    fn peak_mib(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a size for people")]
        let kib = self.peaks_kib.values().sum::<u64>() as f64;
        kib / 1024.0
    }
}

fn peak_resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Returns the children of all threads of a process.
fn children_of(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> CommandLine {
        CommandLine {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            accepted: &[0],
            error_mark: None,
        }
    }

    #[test]
    fn fields_are_counted_after_the_command_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4 0 0 0 0 10 20 300 4000 20 0";
        assert_eq!(ticks(stat, [UTIME]), Some(10.0));
        assert_eq!(ticks(stat, [UTIME, STIME, CUTIME, CSTIME]), Some(4330.0));
        assert_eq!(ticks("nothing", [UTIME]), None);
    }

    #[tokio::test]
    async fn grandchildren_are_measured_too() {
        let folder = tempfile::tempdir().unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let run = run(&shell(&format!("sh -c '{busy}'; echo done")), folder.path())
            .await
            .unwrap();
        assert!(run.cpu_seconds > 0.02 && run.seconds > 0.02, "{run:?}");
        assert!(run.peak_mib > 0.1, "{run:?}");
        assert_eq!(run.output, "done\n");
    }

    #[tokio::test]
    async fn error_line_is_a_failure_whatever_the_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let command = CommandLine {
            error_mark: Some("ERROR"),
            ..shell("echo ERROR no bucket >&2")
        };
        assert!(matches!(run(&command, folder.path()).await, Err(RunFailure::Failed(_))));
    }

    #[tokio::test]
    async fn failed_run_shows_its_last_errors() {
        let folder = tempfile::tempdir().unwrap();
        let failure = run(&shell("echo first >&2; echo last >&2; exit 3"), folder.path())
            .await
            .unwrap_err();
        let RunFailure::Failed(reason) = failure else {
            panic!("{failure:?}")
        };
        assert_eq!(reason, "exit status: 3: first / last");
    }
}
