//! `text`: a line is a row. The fast path: one check for UTF-8 a cut, one copy a line.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::StringBuilder;
use arrow_schema::{ArrowError, SchemaRef};
use millstream_engine::batch::{BadRecord, Chunk};

use super::bad_record;
use super::cut::{Cut, Span};

/// The rows of a cut.
pub(crate) fn rows(schema: &SchemaRef, cut: &Cut<'_>, origin: &str) -> Result<Chunk, ArrowError> {
    let mut values = StringBuilder::with_capacity(cut.spans.len(), cut.bytes.len());
    let mut bad = Vec::new();
    // A newline is never part of a longer character, so lines are valid if their whole is.
    match simdutf8::basic::from_utf8(cut.bytes) {
        Ok(text) => {
            for span in cut.spans {
                values.append_value(&text[span.start..span.end]);
            }
        }
        Err(_) => {
            for span in cut.spans {
                match simdutf8::compat::from_utf8(&cut.bytes[span.start..span.end]) {
                    Ok(line) => values.append_value(line),
                    Err(error) => bad.push(reject(cut, *span, error.valid_up_to(), origin)),
                }
            }
        }
    }
    let rows = RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(values.finish())])?;
    Ok(Chunk { rows, bad })
}

fn reject(cut: &Cut<'_>, span: Span, valid: usize, origin: &str) -> BadRecord {
    let line = &cut.bytes[span.start..span.end];
    let position = format!("{origin}, byte {}", cut.at + span.start as u64);
    let reason = format!(
        "the line is not UTF-8: byte {valid} of it is 0x{:02x}; convert the data to UTF-8",
        line[valid.min(line.len() - 1)]
    );
    bad_record(position, line, reason)
}
