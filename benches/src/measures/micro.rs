//! The engine's own micro-benchmarks: the cost of the boundary, of grouping, of joining, of state by
//! key and of SQL.

use std::process::Command;

use crate::report::Report;
use crate::{Bench, Outcome};

/// Runs them through cargo; each prints a table of its own.
pub(super) fn measure(_bench: &Bench, _report: &mut Report) -> Outcome<()> {
    // The cargo that runs this program, so that both use the same toolchain.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for name in ["boundary", "aggregate", "join", "state", "tables"] {
        let status = Command::new(&cargo).args(["bench", "--workspace", "--bench", name]).status()?;
        if !status.success() {
            return Err(format!("cargo bench --bench {name} ended with {status}").into());
        }
    }
    Ok(())
}
