//! The Rust example operators without Wasm: the same code, the same kit, compiled for this machine.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use millstream_plugin::testing;
use millstream_plugin::{Batch, Schema, Transform};
use serde_json::Value;

use crate::Outcome;
use crate::clock::now;

/// So long calls are repeated.
const A_WHILE: Duration = Duration::from_secs(1);

/// `split-words`, open, with the rows that it gets.
pub(crate) struct Native {
    operator: Transform,
    rows: Batch,
}

impl Native {
    pub(crate) fn open(lines: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(lines)?;
        let rows = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let rows = testing::batch(Value::Array(rows)).map_err(|error| error.to_string())?;
        let schema: &Schema = rows.schema();
        let operator = examples_rust::plugin().open("split-words", r#"{"column":"line"}"#, schema);
        Ok(Self { operator: operator.map_err(|error| error.to_string())?, rows })
    }

    /// Nanoseconds a row, the least of many calls.
    pub(crate) fn split_ns(&self) -> Outcome<f64> {
        let (begun, mut least) = (now(), Duration::MAX);
        while begun.elapsed() < A_WHILE {
            // Given away, as the kit gives it; the copy is not counted.
            let rows = self.rows.clone();
            let start = now();
            let finished = self.operator.process(rows).map_err(|error| error.to_string())?;
            least = least.min(start.elapsed());
            std::hint::black_box(finished);
        }
        Ok(least.as_secs_f64() * 1e9 / self.rows.len() as f64)
    }
}

/// Lines of ten words of five letters about, and prices.
pub(crate) fn write_rows(lines: &Path, prices: &Path, rows: usize) -> Outcome<()> {
    let words = ["stream", "of", "rows", "window", "batch", "key", "state", "timer", "merge", "watermark"];
    let (mut texts, mut numbers) =
        (BufWriter::new(File::create(lines)?), BufWriter::new(File::create(prices)?));
    for row in 0..rows {
        let line: Vec<&str> =
            (0..10).map(|word| words[(row * 7 + word * 3 + row / 10) % words.len()]).collect();
        writeln!(texts, "{{\"line\":\"{}\"}}", line.join(" "))?;
        writeln!(numbers, "{{\"price\":{}.25}}", row % 997)?;
    }
    texts.flush()?;
    numbers.flush()?;
    Ok(())
}
