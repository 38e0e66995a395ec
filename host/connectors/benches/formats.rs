//! How fast one thread reads: text, NDJSON and CSV files out of the page cache, and generated rows.
//! `cargo bench --bench formats`; the best of several passes, because machines are busy.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use millstream_connectors::Registry;
use millstream_engine::clock::{SharedClock, SystemClock};
use millstream_engine::pipeline::{Connectors, OpenSource, SourceCtx};
use millstream_engine::source::Limits;
use serde_json::{Value, json};

const PASSES: usize = 7;
const LINES: usize = 1_000_000;
const RECORDS: usize = 300_000;
const GENERATED: u64 = 10_000_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let registry = Registry::new(runtime.handle().clone());
    let dir = tempfile::tempdir()?;
    write_files(dir.path())?;
    let columns =
        json!({ "id": "int64", "user": "utf8", "price": "float64", "ok": "boolean", "at": "timestamp" });
    let file = |name: &str| dir.path().join(name);
    let cases = [
        ("text, 49 bytes and a newline", json!({ "type": "file", "path": file("a.txt"), "format": "text" })),
        (
            "ndjson, 5 columns",
            json!({ "type": "file", "path": file("a.ndjson"), "format": "ndjson", "schema": columns }),
        ),
        (
            "csv, 5 columns",
            json!({ "type": "file", "path": file("a.csv"), "format": "csv", "schema": columns }),
        ),
        (
            "generate, 3 columns",
            json!({ "type": "generate", "rows": GENERATED, "schema": {
                "id": { "type": "sequence" },
                "n": { "type": "int", "min": 0, "max": 999_999 },
                "at": { "type": "timestamp", "every_us": 10 },
            } }),
        ),
        (
            "generate, 3 columns and a key",
            json!({ "type": "generate", "rows": GENERATED / 4, "schema": {
                "id": { "type": "sequence" },
                "n": { "type": "int", "min": 0, "max": 999_999 },
                "at": { "type": "timestamp", "every_us": 10 },
                "key": { "type": "key", "cardinality": 10_000 },
            } }),
        ),
    ];
    let wanted = std::env::args().nth(1).filter(|given| !given.starts_with('-')).unwrap_or_default();
    for (name, spec) in cases.iter().filter(|(name, _)| name.contains(&wanted)) {
        measure(&registry, name, spec)?;
    }
    Ok(())
}

fn write_files(dir: &Path) -> Result<(), Failure> {
    let mut text = io::BufWriter::new(fs::File::create(dir.join("a.txt"))?);
    for i in 0..LINES {
        writeln!(text, "{i:08} the quick brown fox jumps over the dogs!")?;
    }
    text.flush()?;
    let mut ndjson = io::BufWriter::new(fs::File::create(dir.join("a.ndjson"))?);
    let mut csv = io::BufWriter::new(fs::File::create(dir.join("a.csv"))?);
    writeln!(csv, "id,user,price,ok,at")?;
    for i in 0..RECORDS {
        let (cents, second, ok) = (i * 7919 % 100_000, i % 60, i % 3 == 0);
        let (user, price) = (format!("user-{}", i % 5000), format!("{}.{:02}", cents / 100, cents % 100));
        let at = format!("2024-05-31T12:{:02}:{second:02}.250Z", i / 60 % 60);
        writeln!(ndjson, r#"{{"id":{i},"user":"{user}","price":{price},"ok":{ok},"at":"{at}"}}"#)?;
        writeln!(csv, "{i},{user},{price},{ok},{at}")?;
    }
    ndjson.flush()?;
    Ok(csv.flush()?)
}

fn measure(registry: &Registry, name: &str, spec: &Value) -> Result<(), Failure> {
    let clock = SystemClock::shared();
    let mut best = f64::INFINITY;
    let mut rows = 0;
    for _ in 0..PASSES {
        let begin = clock.monotonic();
        rows = read_all(registry, spec, &clock)?;
        best = best.min((clock.monotonic() - begin).as_secs_f64());
    }
    #[allow(clippy::cast_precision_loss, reason = "a measurement is about")]
    let (per_second, nanoseconds) = (rows as f64 / best, best * 1e9 / rows as f64);
    writeln!(io::stdout(), "{name:32} {nanoseconds:8.1} ns a row  {:8.2} M rows/s", per_second / 1e6)?;
    Ok(())
}

fn read_all(registry: &Registry, spec: &Value, clock: &SharedClock) -> Result<usize, Failure> {
    let mut config = spec.as_object().cloned().unwrap_or_default();
    let kind = config.remove("type").ok_or("a spec has a type")?;
    let plan =
        registry.source(kind.as_str().unwrap_or_default(), config).map_err(|error| error.to_string())?;
    let ctx = SourceCtx {
        pipeline: "bench".to_owned(),
        entry: "in".to_owned(),
        clock: Arc::clone(clock),
        available_now: true,
        wake: Arc::new(|| ()),
        warn: Arc::new(|_| ()),
    };
    let OpenSource::Pull(mut source) = plan.open(ctx)? else { return Err("the source is pulled".into()) };
    source.restore(None)?;
    let reader = source.reader();
    let mut rows = 0;
    loop {
        let poll = source.poll(Limits { rows: u64::MAX, bytes: 64 * 1024 * 1024 })?;
        for split in &poll.splits {
            let mut stream = reader.open(split)?;
            while let Some(chunk) = stream.next()? {
                if !chunk.bad.is_empty() {
                    return Err(chunk.bad[0].reason.clone().into());
                }
                rows += chunk.rows.num_rows();
            }
        }
        if poll.finished {
            return Ok(rows);
        }
    }
}
