//! What is measured: a file a measure.

mod budget;
mod checkpoint;
mod languages;
mod large_state;
mod latency;
mod memory;
mod micro;
mod start;
mod windows;
mod words;

use crate::report::Report;
use crate::{Bench, Outcome};

type Measure = fn(&Bench, &mut Report) -> Outcome<()>;

/// All measures by name, in the order in which they run.
pub(crate) const ALL: &[(&str, Measure)] = &[
    ("start", start::measure),
    ("words", words::against_native),
    ("delivery", words::delivery),
    ("latency", latency::measure),
    ("checkpoint", checkpoint::overhead),
    ("recovery", checkpoint::recovery),
    ("memory", memory::measure),
    ("large-state", large_state::checkpoints),
    ("budget", budget::measure),
    ("windows", windows::measure),
    ("languages", languages::measure),
    ("micro", micro::measure),
];
