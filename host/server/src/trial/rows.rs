//! Rows for measurements, as one batch: from a file of NDJSON, or made up from a schema.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use millstream_engine::clock::SystemClock;
use millstream_engine::pipeline::{Connectors, OpenSource, SourceCtx, SourcePlan};
use millstream_engine::source::{Limits, Source};
use serde_json::{Map, Value, json};

use super::spec::TrialError;

/// The first rows of a file; rows that do not fit the schema are an error here.
pub(super) fn of_file(
    connectors: &dyn Connectors,
    file: &Path,
    schema: &Map<String, Value>,
    rows: usize,
) -> Result<RecordBatch, TrialError> {
    let config = json!({ "path": file, "format": "ndjson", "schema": schema });
    read(source(connectors, "file", config)?, rows)
}

/// So many rows of a schema, the same each time.
pub(super) fn made_up(
    connectors: &dyn Connectors,
    schema: &Map<String, Value>,
    rows: usize,
) -> Result<RecordBatch, TrialError> {
    let columns = schema.iter().map(|(name, column)| {
        let data_type = column.as_str().or_else(|| column["type"].as_str()).unwrap_or_default();
        let made = match data_type {
            "boolean" | "bool" => json!({ "type": "bool" }),
            "int64" => json!({ "type": "int", "min": -1000, "max": 1000 }),
            "float64" => json!({ "type": "float", "min": 0, "max": 1000 }),
            "utf8" | "string" => json!({ "type": "text", "words": 10 }),
            kind if kind.starts_with("timestamp") => json!({ "type": "timestamp", "every_us": 1000 }),
            other => {
                return Err(TrialError(format!(
                    "schema.{name}: no rows can be made up with a column of type {other}: give some with --input"
                )));
            }
        };
        Ok((name.clone(), made))
    });
    let columns: Map<String, Value> = columns.collect::<Result<_, _>>()?;
    let config = json!({ "rate": "unlimited", "rows": rows, "schema": columns });
    read(source(connectors, "generate", config)?, rows)
}

fn source(connectors: &dyn Connectors, kind: &str, config: Value) -> Result<Box<dyn SourcePlan>, TrialError> {
    let config = config.as_object().cloned().unwrap_or_default();
    connectors.source(kind, config).map_err(TrialError::new)
}

fn read(plan: Box<dyn SourcePlan>, rows: usize) -> Result<RecordBatch, TrialError> {
    let schema = plan.schema();
    let ctx = SourceCtx {
        pipeline: "trial".to_owned(),
        entry: "input".to_owned(),
        clock: SystemClock::shared(),
        available_now: true,
        wake: Arc::new(|| {}),
        warn: Arc::new(drop),
    };
    let OpenSource::Pull(mut source) = plan.open(ctx).map_err(TrialError::new)? else {
        return Err(TrialError("these rows come only when somebody sends them".to_owned()));
    };
    let chunks = chunks(&mut *source, rows)?;
    let all = concat_batches(&schema, &chunks).map_err(TrialError::new)?;
    Ok(all.slice(0, rows.min(all.num_rows())))
}

fn chunks(source: &mut dyn Source, rows: usize) -> Result<Vec<RecordBatch>, TrialError> {
    source.restore(None).map_err(TrialError::new)?;
    let (mut chunks, mut found) = (Vec::new(), 0);
    while found < rows {
        let limits = Limits { rows: (rows - found) as u64, bytes: u64::MAX };
        let poll = source.poll(limits).map_err(TrialError::new)?;
        if poll.splits.is_empty() {
            break;
        }
        for split in &poll.splits {
            let mut stream = source.reader().open(split).map_err(TrialError::new)?;
            while let Some(chunk) = stream.next().map_err(TrialError::new)? {
                if let Some(bad) = chunk.bad.first() {
                    return Err(TrialError(format!("{}: {}", bad.position, bad.reason)));
                }
                found += chunk.rows.num_rows();
                chunks.push(chunk.rows);
            }
        }
    }
    if found == 0 {
        return Err(TrialError("the input has no rows".to_owned()));
    }
    Ok(chunks)
}
