//! How long a server takes to start when it knows 20 plugins, and what it weighs at rest.

use std::fs;
use std::time::Duration;

use crate::clock::median;
use crate::report::{Goal, Report};
use crate::server::{Server, plugin};
use crate::{Bench, Outcome};

const PLUGINS: u8 = 20;
const STARTS: usize = 9;

/// Uploads 20 versions of a component, then starts the server again and again.
pub(super) fn measure(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let dir = bench.at("start");
    let empty = Server::start(&bench.binary, &dir)?;
    let empty_mib = empty.memory_mib("VmRSS:");
    let component = plugin(&bench.target, "geo");
    let bytes = fs::read(&component)
        .map_err(|error| format!("{}: {error}: run `make plugins` first", component.display()))?;
    for number in 0..PLUGINS {
        empty.upload(&with_version(&bytes, number)?)?;
    }
    let known = empty.get("/v1/plugins")?.as_array().map_or(0, Vec::len);
    if known != usize::from(PLUGINS) {
        return Err(format!("{known} plugins are there instead of {PLUGINS}").into());
    }
    drop(empty);
    let (mut starts, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let server = Server::start(&bench.binary, &dir)?;
        starts.push(server.ready_ms);
        std::thread::sleep(Duration::from_millis(300));
        idle.push(server.memory_mib("VmRSS:"));
    }
    report.figure("start with 20 plugins", median(&starts), "ms", Goal::AtMost(300.0));
    report.figure("slowest start", starts.iter().copied().fold(0.0, f64::max), "ms", Goal::None);
    report.figure("idle memory with 20 plugins", median(&idle), "MiB", Goal::AtMost(80.0));
    report.figure("idle memory of a new server", empty_mib, "MiB", Goal::None);
    Ok(())
}

/// The same component with another version: the text is replaced by one of the same length, except
/// where it is the version of an interface, which stands behind an `@`.
fn with_version(component: &[u8], number: u8) -> Outcome<Vec<u8>> {
    const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();
    let mut patched = component.to_vec();
    let other = format!("9.{}.{}", number / 10, number % 10);
    if other.len() != VERSION.len() {
        return Err(format!("the version is no longer as long as {other}").into());
    }
    let places = component.windows(VERSION.len()).enumerate().filter(|(_, found)| *found == VERSION);
    let places: Vec<usize> =
        places.map(|(at, _)| at).filter(|at| *at > 0 && component[at - 1] != b'@').collect();
    for at in places {
        patched[at..at + VERSION.len()].copy_from_slice(other.as_bytes());
    }
    Ok(patched)
}
