//! Rows as lines of JSON on the process's standard output, a batch in one write. Nothing is
//! remembered: after a crash a batch may be there twice.

use std::io::{self, Write};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use millstream_engine::batch::BatchId;
use millstream_engine::pipeline::{SinkCtx, SinkPlan, SpecError};
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use schemars::JsonSchema;
use serde::Deserialize;

use super::text::write_ndjson;

/// Writes rows as lines of JSON to standard output.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StdoutSpec {}

/// A sound spec; there is nothing to decide.
pub(super) struct StdoutPlan;

impl SinkPlan for StdoutPlan {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Plain
    }

    fn promise_reason(&self) -> String {
        "stdout: lines that were written cannot be recognised or taken back".into()
    }

    fn check(&self, _input: &Schema) -> Result<(), SpecError> {
        Ok(())
    }

    fn open(self: Box<Self>, _ctx: SinkCtx) -> Result<Box<dyn Sink>, SinkError> {
        Ok(line_sink(io::stdout()))
    }
}

/// A sink that writes rows to `out` as lines of JSON, a batch with one call.
pub fn line_sink(out: impl Write + Send + 'static) -> Box<dyn Sink> {
    Box::new(LineSink::new(out))
}

/// Writes each batch to `out` with one call, so that lines of several pipelines do not mix.
struct LineSink<W> {
    out: W,
    lines: Vec<u8>,
}

impl<W: Write + Send> LineSink<W> {
    fn new(out: W) -> Self {
        Self { out, lines: Vec::new() }
    }
}

impl<W: Write + Send> Sink for LineSink<W> {
    fn committed(&mut self) -> Result<Option<BatchId>, SinkError> {
        Ok(None)
    }

    fn begin(&mut self, _batch: BatchId) -> Result<(), SinkError> {
        self.lines.clear();
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        write_ndjson(rows, &mut self.lines)
            .map_err(|error| SinkError::Permanent(format!("rows cannot be written as JSON: {error}")))
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.out.write_all(&self.lines).and_then(|()| self.out.flush());
        self.lines.clear();
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => {
                SinkError::Permanent("nobody reads standard output any more: start the pipeline again".into())
            }
            _ => super::io_error(Path::new("standard output"), &error),
        })
    }

    fn abort(&mut self) {
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::testing::{all_types, counts};
    use super::*;

    /// Keeps each write apart.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed(io::ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn batch_is_one_write_at_commit() {
        let writes = Writes::default();
        let mut sink = LineSink::new(writes.clone());
        assert_eq!(sink.committed(), Ok(None));
        sink.begin(BatchId(1)).unwrap();
        sink.write(&counts(&[(Some("a"), 1)])).unwrap();
        sink.write(&counts(&[(None, 2), (Some("ü\n\""), 3)])).unwrap();
        assert!(writes.0.lock().unwrap().is_empty());
        sink.commit().unwrap();
        let expected = "{\"word\":\"a\",\"n\":1}\n{\"word\":null,\"n\":2}\n{\"word\":\"ü\\n\\\"\",\"n\":3}\n";
        assert_eq!(*writes.0.lock().unwrap(), [expected]);
    }

    #[test]
    fn aborted_and_empty_batches_write_nothing() {
        let writes = Writes::default();
        let mut sink = LineSink::new(writes.clone());
        sink.begin(BatchId(1)).unwrap();
        sink.write(&counts(&[(Some("a"), 1)])).unwrap();
        sink.abort();
        sink.begin(BatchId(1)).unwrap();
        sink.write(&counts(&[])).unwrap();
        sink.commit().unwrap();
        assert!(writes.0.lock().unwrap().is_empty());
    }

    #[test]
    fn every_type_has_its_json() {
        let writes = Writes::default();
        let mut sink = LineSink::new(writes.clone());
        sink.begin(BatchId(1)).unwrap();
        sink.write(&all_types()).unwrap();
        sink.commit().unwrap();
        let text = writes.0.lock().unwrap().concat();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"b":true,"i":-2147483648,"l":-9223372036854775808,"f":0.5,"d":null,"s":"","x":"","day":"1970-01-01","at":"1970-01-01T00:00:00.000000Z"}"#
        );
        assert_eq!(
            lines[2],
            r#"{"b":null,"i":null,"l":null,"f":null,"d":null,"s":null,"x":null,"day":null,"at":null}"#
        );
        assert!(
            lines[1].contains(r#""d":null,"s":"ü😀\u0000\"'","x":"00ff","day":"-5877641-06-23""#),
            "{}",
            lines[1]
        );
    }

    #[test]
    fn closed_output_is_final_and_a_full_one_is_not() {
        for (kind, full) in [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)] {
            let mut sink = LineSink::new(Closed(kind));
            sink.begin(BatchId(1)).unwrap();
            sink.write(&counts(&[(Some("a"), 1)])).unwrap();
            let error = sink.commit().unwrap_err();
            assert_eq!(matches!(error, SinkError::Full(_)), full, "{error}");
        }
    }
}
