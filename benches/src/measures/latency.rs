//! Latency of a line from a TCP client through the journal and a step to a viewer of a tap: the way
//! of a running pipeline up to where its sink begins. Lines carry the time at which they were sent.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock::{now, quantile};
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::{Bench, Outcome};

const LINES_PER_MS: u64 = 10;
const SECONDS: u64 = 20;
/// Writes of the disk alone.
const SYNCS: usize = 500;
/// Connections, first batches and cold code are not what is measured.
const WARM_UP_MS: f64 = 2000.0;

/// 10,000 lines a second, a trigger of 10 ms.
pub(super) fn measure(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let server = Server::start(&bench.binary, &bench.at("latency"))?;
    server.post(
        "/v1/pipelines",
        &json!({
            "name": "latency",
            "delivery": "exactly-once",
            "trigger": { "every": "10ms" },
            "sources": { "lines": { "type": "tcp", "listen": "127.0.0.1:0", "format": "text" } },
            "steps": { "passed": { "from": "lines", "select": { "value": "value" } } },
            "sinks": { "out": { "from": "passed", "type": "file", "path": bench.at("latency-out"), "format": "ndjson" } },
        }),
    )?;
    let document = server.wait_for("latency", |found| found["addresses"]["lines"].is_string())?;
    let address = document["addresses"]["lines"].as_str().unwrap_or_default().to_owned();
    let tap = server.tap("latency", "passed")?;
    let start = now();
    let (sender, seen) = mpsc::channel();
    // Ends with the server.
    thread::spawn(move || {
        for line in BufReader::new(tap).lines().map_while(Result::ok) {
            if sender.send((start.elapsed(), line)).is_err() {
                return;
            }
        }
    });
    let sending = thread::spawn(move || send(&address, start));
    let sent = sending.join().map_err(|_| "the sender broke")??;
    let (mut latencies, mut hidden) = (Vec::new(), 0);
    while let Ok((at, line)) = seen.recv_timeout(Duration::from_secs(1)) {
        let Some(event) = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok()) else {
            continue;
        };
        hidden += read(&event, at, &mut latencies);
    }
    latencies.sort_by(f64::total_cmp);
    disk(bench, report)?;
    report.figure("lines sent", sent as f64, "", Goal::None);
    report.figure("lines seen after the warm-up", latencies.len() as f64, "", Goal::None);
    // The tap shows the first rows of a large chunk, which are the oldest: figures are not too good.
    report.figure("lines that the tap only counted", hidden as f64, "", Goal::None);
    for (what, share, goal) in [
        ("p50", 0.5, Goal::None),
        ("p90", 0.9, Goal::None),
        ("p99", 0.99, Goal::AtMost(50.0)),
        ("p99.9", 0.999, Goal::None),
        ("longest", 1.0, Goal::None),
    ] {
        report.figure(what, quantile(&latencies, share), "ms", goal);
    }
    Ok(())
}

/// How long the disk takes to make a page durable, which is under every figure here: a line waits for
/// the journal and for the plan of its batch.
fn disk(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let mut file = File::create(bench.at("disk"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    report.figure("the disk alone: write and sync of 4 KiB, p50", quantile(&times, 0.5), "ms", Goal::None);
    report.figure("the disk alone, p99", quantile(&times, 0.99), "ms", Goal::None);
    Ok(())
}

/// Sends lines of ten to the millisecond; what fell behind is sent at once, with the time at which
/// it is sent.
fn send(address: &str, start: Instant) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut sent, mut lines) = (0, Vec::new());
    while sent < LINES_PER_MS * 1000 * SECONDS {
        let due = start.elapsed().as_millis() as u64 * LINES_PER_MS;
        lines.clear();
        while sent < due {
            writeln!(lines, "{}", start.elapsed().as_micros())?;
            sent += 1;
        }
        stream.write_all(&lines)?;
        thread::sleep(Duration::from_micros(500));
    }
    Ok(sent)
}

/// Adds the latencies of an event's rows; says how many rows it only counts.
fn read(event: &Value, at: Duration, latencies: &mut Vec<f64>) -> u64 {
    let Some(rows) = event["rows"].as_array() else { return event["rows"].as_u64().unwrap_or_default() };
    let now_ms = at.as_secs_f64() * 1000.0;
    let times = rows.iter().filter_map(|row| row["value"].as_str()?.parse::<f64>().ok());
    latencies.extend(times.map(|us| us / 1000.0).filter(|ms| *ms >= WARM_UP_MS).map(|ms| now_ms - ms));
    0
}
