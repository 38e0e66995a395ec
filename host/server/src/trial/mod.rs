//! One operator tried on rows of NDJSON, without a server: a pipeline of a source, the operator and a sink,
//! put together in memory and run by the engine itself. Whatever the engine does to rows (cutting,
//! checking, halving at faults, dead letters, timers) is done here because it is the engine that does it.
//!
//! Rooms in reading order: `spec` (what is tried), `workbench` (a component, ready to be tried), `infer` (columns from
//! rows), `pipeline` (the spec that the engine gets), `connectors` (where rows come from and go to), `closing` (the end of
//! time at the end of the input), `run` and `outcome`; `cases` (golden files) uses all of it.
//! `measure` calls the Wasm runtime directly, through `calls`, with what `rows` gives: it is the operator that is measured.

mod calls;
pub mod cases;
mod closing;
mod connectors;
mod infer;
mod measure;
mod outcome;
mod pipeline;
mod rows;
mod run;
mod spec;
mod workbench;

pub use connectors::Out;
pub use measure::Cost;
pub use outcome::{DeadRow, Outcome};
pub use spec::{TrialError, TrialSpec};
pub use workbench::Workbench;
