//! What a batch costs at the boundary, and what a runtime costs before any batch. Run with
//! `cargo bench --workspace --bench boundary`; prints the least of many rounds, because a shared
//! machine only ever adds.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may stop")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use millstream_wasm::{CallClock, Limits, OpenTransform, Plugin, Runtime, RuntimeConfig};

#[allow(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/boundary/support.rs"]
mod support;

/// Least time of a round; as many rounds as fit a second.
fn least(mut round: impl FnMut()) -> Duration {
    let end = now() + Duration::from_secs(1);
    let mut least = Duration::MAX;
    while now() < end {
        let start = now();
        round();
        least = least.min(start.elapsed());
    }
    least
}

fn now() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
    Instant::now()
}

/// `pairs` times an int64 and a text column of about 100 bytes.
fn batch(rows: usize, pairs: usize, letters: &str) -> RecordBatch {
    let letters: Vec<char> = letters.chars().collect();
    let bytes = |c: &[char]| c.iter().map(|c| c.len_utf8()).sum::<usize>();
    let length = letters.len() * 100 / bytes(&letters).max(1);
    let text = |row: usize| -> String {
        (0..length + row % 7 - 3).map(|i| letters[(i * 7 + row) % letters.len()]).collect()
    };
    let columns = (0..pairs).flat_map(|pair| {
        let numbers: Int64Array = (0..rows as i64).collect();
        let texts: StringArray = (0..rows).map(|row| Some(text(row))).collect();
        [
            (format!("n{pair}"), Arc::new(numbers) as ArrayRef),
            (format!("s{pair}"), Arc::new(texts) as ArrayRef),
        ]
    });
    RecordBatch::try_from_iter(columns).unwrap()
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let before = resident_kib();
    let start = now();
    let runtime = Runtime::new(RuntimeConfig::new(dir.path())).unwrap();
    println!("Runtime::new: {:?}, resident memory {} -> {} KiB", start.elapsed(), before, resident_kib());
    let guest = support::guest();
    let start = now();
    let plugin = runtime.load(guest).unwrap();
    println!("load and compile: {:?} ({} KiB of component)", start.elapsed(), guest.len() >> 10);
    startup(&plugin, dir.path());
    instances(&plugin);
    println!("{:>8} {:>8} {:>10} {:>12}", "rows", "columns", "text", "ns an event");
    for (name, letters) in
        [("ascii", "abcdefghij klmnop"), ("german", "abcdefgäöü hijklmn"), ("japanese", "日本語文字列")]
    {
        for (pairs, rows) in [(1, 1_000), (1, 10_000), (1, 65_536), (4, 1_000), (4, 10_000), (4, 65_536)] {
            if name == "ascii" || (pairs, rows) == (1, 10_000) {
                boundary(&plugin, name, &batch(rows, pairs, letters));
            }
        }
    }
}

fn startup(plugin: &Plugin, dir: &std::path::Path) {
    let load = least(|| drop(plugin_again(plugin, dir)));
    println!("new runtime and 20 known plugins, not opened: {load:?}");
    let runtime = Runtime::new(RuntimeConfig::new(dir)).unwrap();
    let cached = least(|| drop(runtime.load(support::guest()).unwrap()));
    println!("load from the cache, with describe: {cached:?}");
    let schema = batch(1, 1, "a").schema();
    let opened = least(|| {
        for _ in 0..20 {
            let plugin = runtime.open(plugin.digest(), plugin.manifest().clone(), || unreachable!());
            drop(plugin.transform(&identity(&schema)).unwrap());
        }
    });
    println!("20 known plugins from the cache, each opened: {opened:?}");
}

fn plugin_again(plugin: &Plugin, dir: &std::path::Path) -> Vec<Plugin> {
    let runtime = Runtime::new(RuntimeConfig::new(dir)).unwrap();
    let again = |_| runtime.open(plugin.digest(), plugin.manifest().clone(), || unreachable!());
    (0..20).map(again).collect()
}

fn identity(schema: &arrow_schema::Schema) -> OpenTransform<'_> {
    let observer = Arc::<support::Ear>::default();
    let limits = Some(Limits { deadline_ms: 60_000, ..Limits::default() });
    OpenTransform { operator: "identity", config: "", input: schema, observer, limits }
}

fn instances(plugin: &Plugin) {
    let schema = batch(1, 1, "a").schema();
    let one = least(|| drop(plugin.transform(&identity(&schema)).unwrap()));
    println!("instantiate, open and drop: {one:?}");
    let before = resident_kib();
    let many: Vec<_> = (0..50).map(|_| plugin.transform(&identity(&schema)).unwrap()).collect();
    println!("memory of {} idle instances: {} KiB", many.len(), resident_kib().saturating_sub(before));
    drop(many);
    println!("resident after they are gone: {} KiB", resident_kib());
}

fn boundary(plugin: &Plugin, text: &str, batch: &RecordBatch) {
    let schema = batch.schema();
    let mut transform = plugin.transform(&identity(&schema)).unwrap();
    let clock = CallClock { batch_id: 1, chunk: 0, now_us: 0, watermark_us: None, seed: 1 };
    let least = least(|| drop(transform.process(&clock, batch).unwrap()));
    let rows = batch.num_rows();
    let a_row = least.as_nanos() as f64 / rows as f64;
    println!("{rows:>8} {:>8} {text:>10} {a_row:>12.1}", batch.num_columns());
}

/// Resident memory of this process as the kernel counts it; 0 where it does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
