//! Rows that the sinks' tests share.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use millstream_engine::batch::{BatchId, timestamp_us};
use millstream_engine::pipeline::SinkCtx;
use millstream_engine::sink::{Sink, SinkError};

pub(super) fn counts_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("word", DataType::Utf8, true),
        Field::new("n", DataType::Int64, false),
    ]))
}

pub(super) fn counts(rows: &[(Option<&str>, i64)]) -> RecordBatch {
    let words: StringArray = rows.iter().map(|row| row.0).collect();
    let n: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    RecordBatch::try_new(counts_schema(), vec![Arc::new(words), Arc::new(n)]).unwrap()
}

/// A row of least values, one of greatest and odd ones, one of nulls.
pub(super) fn all_types() -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![Some(0), Some(i64::MIN), None]).with_timezone("UTC");
    let schema = Schema::new(vec![
        Field::new("b", DataType::Boolean, true),
        Field::new("i", DataType::Int32, true),
        Field::new("l", DataType::Int64, true),
        Field::new("f", DataType::Float32, true),
        Field::new("d", DataType::Float64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("x", DataType::Binary, true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", timestamp_us(), true),
    ]);
    let bytes: [&[u8]; 2] = [b"", &[0, 255]];
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
            Arc::new(Float32Array::from(vec![Some(0.5), Some(f32::MAX), None])),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(f64::NEG_INFINITY), None])),
            Arc::new(StringArray::from(vec![Some(""), Some("ü😀\0\"'"), None])),
            Arc::new(BinaryArray::from(vec![Some(bytes[0]), Some(bytes[1]), None])),
            Arc::new(Date32Array::from(vec![Some(0), Some(i32::MIN), None])),
            Arc::new(at),
        ],
    )
    .unwrap()
}

pub(super) fn ctx(pipeline_id: &str, schema: SchemaRef, dir: &Path) -> SinkCtx {
    SinkCtx {
        pipeline: "word-count".into(),
        pipeline_id: pipeline_id.into(),
        entry: "out".into(),
        schema,
        durable: true,
        dir: dir.into(),
    }
}

/// Writes one batch from its beginning to its commit.
pub(super) fn put(sink: &mut dyn Sink, batch: u64, rows: &RecordBatch) -> Result<(), SinkError> {
    sink.begin(BatchId(batch))?;
    sink.write(rows)?;
    sink.commit()
}

/// A disk of `bytes` mounted for a test; none where the machine does not let tests mount.
pub(super) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(super) fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(dir))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that files a failed test left open do not keep the mount.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}
