//! Processes: ending a process with its descendants, killing, memory.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Time that a program has to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Ends `child` with SIGTERM, then SIGKILL, and kills its remaining descendants.
///
/// It blocks until the child has ended, because `Drop` calls it.
pub fn end(child: &mut Child) {
    let descendants = descendants_of(child.id());
    signal(child.id(), Signal::TERM);
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begun.elapsed() > GRACE {
            signal(child.id(), Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for survivor in descendants.into_iter().filter(|pid| is_alive(*pid)) {
        signal(survivor, Signal::KILL);
    }
}

/// Returns the current resident memory of a process in KiB.
#[must_use]
pub fn resident_kib(pid: u32) -> Option<u64> {
    status_kib(pid, "VmRSS:")
}

/// Returns the descendants of `root` whose executable is a file `name` below `folder` and whose environment sets
/// `variable` to `value`, ordered by id.
#[must_use]
pub fn running_below(root: u32, folder: &Path, name: &str, variable: &str, value: &str) -> Vec<u32> {
    // A zombie process has no executable.
    let is_executable = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|path| path.starts_with(folder) && path.file_name().is_some_and(|file| file == name))
    };
    let setting = format!("{variable}={value}");
    let is_set = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == setting.as_bytes())
        })
    };
    let mut found = descendants_of(root);
    found.retain(|pid| is_executable(pid) && is_set(pid));
    found.sort_unstable();
    found
}

/// Kills a process without a chance to finish, as a crash of its machine would. Returns whether the process existed.
#[must_use]
pub fn kill(pid: u32) -> bool {
    signal(pid, Signal::KILL)
}

/// Returns the peak resident memory in KiB of the descendants of `root` with this command name.
#[must_use]
pub fn peak_resident_kib(root: u32, command: &str) -> Option<u64> {
    let is_it =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == command);
    descendants_of(root)
        .into_iter()
        .filter(is_it)
        .filter_map(|pid| status_kib(pid, "VmHWM:"))
        .max()
}

fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Sends a signal. Returns `false` if the process has already ended.
fn signal(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, signal).is_ok())
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Returns all descendants of `root`.
fn descendants_of(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent_of(pid) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, its_parent)| *its_parent == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.split_off(1)
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name in parentheses may contain any character, so fields are counted from its end.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn ended_program_leaves_no_grandchild() {
        let mut shell = Command::new("sh").args(["-c", "sleep 600 & wait"]).spawn().expect("sh");
        let begun = Instant::now();
        let grandchild = loop {
            if let Some(pid) = descendants_of(shell.id()).into_iter().next() {
                break pid;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no grandchild appeared");
            std::thread::yield_now();
        };
        end(&mut shell);
        let state = || std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        let gone = |stat: &str| stat.is_empty() || stat.contains(") Z ");
        while !gone(&state()) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "grandchild {grandchild} survived"
            );
            std::thread::yield_now();
        }
    }
}
