//! What was found: a table in Markdown, printed as it grows.

use std::fs;
use std::time::Instant;

use crate::Outcome;
use crate::clock::now;

/// Rows under the heading of each measure.
pub(crate) struct Report {
    started: Instant,
    missed: Vec<String>,
}

impl Default for Report {
    fn default() -> Self {
        Self { started: now(), missed: Vec::new() }
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Nothing is asked of it.
    None,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl Report {
    /// What is measured on, and how busy it is.
    pub(crate) fn machine(&self) -> Outcome<()> {
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let cores = info.lines().filter(|line| line.starts_with("processor")).count();
        println!("Machine: {cores} x {}", model.trim_start_matches([' ', '\t', ':']));
        println!("Other work: a load of {} before the first measure", load()?);
        Ok(())
    }

    /// A heading.
    pub(crate) fn begin(&mut self, name: &str) -> Outcome<()> {
        let at = self.started.elapsed().as_secs();
        println!("\n### {name} (at {at} s, load {})\n", load()?);
        println!("| what | figure | unit | goal |\n|---|---|---|---|");
        Ok(())
    }

    /// A figure.
    pub(crate) fn figure(&mut self, what: &str, value: f64, unit: &str, goal: Goal) {
        let shown = match value.abs() {
            size if size >= 100.0 => format!("{value:.0}"),
            size if size >= 10.0 => format!("{value:.1}"),
            _ => format!("{value:.2}"),
        };
        let asked = match goal {
            Goal::None => String::new(),
            Goal::AtMost(most) => format!("at most {most}"),
            Goal::AtLeast(least) => format!("at least {least}"),
        };
        if !goal.is_met(value) {
            self.missed.push(format!("{what}: {shown} {unit}, {asked}"));
        }
        let missed = if goal.is_met(value) { "" } else { ": **missed**" };
        println!("| {what} | {shown} | {unit} | {asked}{missed} |");
    }

    /// Says which goals were missed.
    pub(crate) fn end(&self) -> Outcome<()> {
        println!("\nTook {} s; load at the end {}.", self.started.elapsed().as_secs(), load()?);
        if !self.missed.is_empty() {
            println!("Goals that were missed:\n- {}", self.missed.join("\n- "));
        }
        Ok(())
    }
}

/// Processes that wanted a processor in the last minute, on average.
fn load() -> Outcome<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split_whitespace().next().unwrap_or_default().to_owned())
}
