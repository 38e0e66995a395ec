//! Golden cases: rows that an operator gets, and what must come of them. A case is `NAME.yaml` with `NAME.in.ndjson`
//! beside it; what comes out is compared with `NAME.out.ndjson`, rows that could not be used with
//! `NAME.dead.ndjson`.
//!
//! `spec` reads a case, `compare` tells whether rows are the same, `diff` shows where they are not, `run` does all of it.

mod compare;
mod diff;
mod run;
mod spec;

pub use run::{CaseReport, bless, find, run, run_case};
pub use spec::{Case, CaseSpec};
