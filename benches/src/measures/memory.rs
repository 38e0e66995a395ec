//! Memory does not grow with the file: 1 GiB through the word count.

use std::fs::File;
use std::io;

use super::words;
use crate::report::{Goal, Report};
use crate::server::is_finished;
use crate::{Bench, Outcome};

const BYTES: u64 = 1 << 30;

/// The greatest resident memory of a server while it counts the words of 1 GiB.
pub(super) fn measure(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let (text, _) = words::text(bench)?;
    let large = bench.at("large.txt");
    let mut file = File::create(&large)?;
    while file.metadata()?.len() < BYTES {
        io::copy(&mut File::open(&text)?, &mut file)?;
    }
    // A line may be cut; it is a line all the same.
    file.set_len(BYTES)?;
    let server = words::server(bench, "memory")?;
    let cost = server.measure(&words::pipeline("memory", &large, &bench.at("memory.db"), 2), is_finished)?;
    report.figure(
        "greatest memory, 1 GiB, 2 threads",
        server.memory_mib("VmHWM:"),
        "MiB",
        Goal::AtMost(500.0),
    );
    report.figure("bytes read", BYTES as f64 / 1e6 / cost.wall_s, "MB/s", Goal::None);
    std::fs::remove_file(large)?;
    Ok(())
}
