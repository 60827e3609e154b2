//! Resource usage of processes.

use std::fs;

use serde::Serialize;

/// A process and its descendants.
pub struct Processes(Vec<u32>);

impl Processes {
    /// The process `pid` and its descendants so far.
    pub fn of(pid: u32) -> Self {
        let mut pids = vec![pid];
        let mut next = 0;
        while let Some(pid) = pids.get(next).copied() {
            pids.extend(children(pid));
            next += 1;
        }
        Self(pids)
    }

    /// The CPU time of their threads, in nanoseconds.
    pub fn cpu(&self) -> f64 {
        let tasks = self.0.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
        tasks
            .flatten()
            .filter_map(|task| {
                let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
                text.split(' ').next()?.parse::<f64>().ok()
            })
            .sum()
    }
}

fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The resources that a process uses.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    /// Its resident memory, in MiB.
    pub resident_mib: f64,
    /// Its peak so far.
    pub peak_mib: f64,
    /// The number of its threads.
    pub threads: usize,
    /// The number of its open files, sockets and pipes.
    pub descriptors: usize,
}

/// The current resource usage of a process, unless it has ended.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |name| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    Some(Usage {
        resident_mib: number("VmRSS:")? / 1024.0,
        peak_mib: number("VmHWM:")? / 1024.0,
        threads: fs::read_dir(format!("/proc/{pid}/task")).ok()?.count(),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
    })
}

/// The peak of a process's resident memory so far, in MiB, unless the process has
/// ended.
pub fn memory_peak(pid: u32) -> Option<f64> {
    usage(pid).map(|usage| usage.peak_mib)
}
