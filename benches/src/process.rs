//! Processor time and memory of a process, as Linux counts them under `/proc`.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::clock::now;

/// Clock ticks a second of `/proc/PID/stat`: a constant of Linux' interface to programs.
const TICKS: f64 = 100.0;

/// What a finished process took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall_s: f64,
    /// Processor seconds of all threads, in user space and in the kernel.
    pub(crate) cpu_s: f64,
    /// Greatest resident memory in MiB.
    pub(crate) peak_mib: f64,
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Outcome<Cost> {
    let start = now();
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let (mut peak_mib, mut last) = (0.0, None);
    // A process that has ended keeps its times until it is waited for.
    while let Some(stat) = stat(child.id()) {
        let is_over = stat.is_over;
        last = Some(stat);
        if is_over {
            break;
        }
        peak_mib = memory_mib(child.id(), "VmHWM:").unwrap_or(peak_mib);
        std::thread::sleep(Duration::from_millis(2));
    }
    let wall_s = start.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    let cpu_s = last.map_or(0.0, |stat| stat.cpu_s);
    Ok(Cost { wall_s, cpu_s, peak_mib })
}

/// Processor seconds of a process so far.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| stat.cpu_s)
}

/// A line of `/proc/PID/status` (`VmRSS:`, `VmHWM:`) in MiB.
pub(crate) fn memory_mib(pid: u32, line: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rest = status.lines().find_map(|found| found.strip_prefix(line))?;
    rest.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

struct Stat {
    is_over: bool,
    cpu_s: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of the program may hold anything, but no field after it holds a parenthesis.
fn parse(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Stat { is_over: *fields.first()? == "Z", cpu_s: (ticks(11)? + ticks(12)?) / TICKS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_program_name() {
        let line = "7 (a) Z 1 (b)) Z 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        let stat = parse(line).unwrap();
        assert!(stat.is_over);
        assert_eq!(stat.cpu_s, 3.0);
        assert!(parse("7 (a").is_none());
    }
}
