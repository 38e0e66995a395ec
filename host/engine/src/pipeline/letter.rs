//! Rows as dead letters and back: a row is kept as a JSON object of the entry's input.

use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::take::take_record_batch;

use crate::batch::{BatchId, DeadLetter, Payload};
use crate::steps::RejectedRow;

/// The refused rows of `rows`, each with its reason.
pub(crate) fn row_letters(
    entry: &Arc<str>,
    input: usize,
    batch: BatchId,
    rows: &RecordBatch,
    refused: &[RejectedRow],
) -> Result<Vec<DeadLetter>, String> {
    let numbers: UInt32Array = refused.iter().map(|row| row.row).collect();
    let texts = take_record_batch(rows, &numbers)
        .and_then(|rows| rows_as_json(&rows))
        .map_err(|error| format!("refused rows cannot be written as JSON ({error})"))?;
    let letters = refused.iter().zip(texts).map(|(row, text)| DeadLetter {
        entry: Arc::clone(entry),
        kind: row.kind,
        reason: row.reason.clone(),
        origin: format!("batch {batch}, row {} of a chunk that came to {entry}", row.row),
        payload: Payload::Row { input, text },
    });
    Ok(letters.collect())
}

/// Each row as a JSON object; nulls are written, so that every object has every column.
///
/// # Errors
/// When a column has a type that JSON has no form for.
pub fn rows_as_json(rows: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
    writer.write(rows)?;
    writer.finish()?;
    drop(writer);
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// The row that a dead letter holds.
pub(crate) fn decode_row(text: &str, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let read = || {
        let mut decoder = arrow_json::ReaderBuilder::new(Arc::clone(schema)).build_decoder()?;
        decoder.decode(text.as_bytes())?;
        decoder.flush()
    };
    match read() {
        Ok(Some(rows)) => Ok(rows),
        Ok(None) => Err("a dead letter holds no row".to_owned()),
        Err(error) => Err(format!("a dead letter's row does not fit the step's input any more: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::batch::{DeadLetterKind, timestamp_us};

    #[test]
    fn a_row_comes_back_from_its_letter_as_it_was() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("s", DataType::Utf8, true),
            Field::new("f", DataType::Float64, true),
            Field::new("t", timestamp_us(), true),
            Field::new("b", DataType::Binary, true),
        ]));
        let rows = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(9_007_199_254_740_993)])),
                Arc::new(StringArray::from(vec![Some("ä\n\"x\""), None, Some("")])),
                Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-1e300)])),
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_700_000_000_123_456)])
                        .with_timezone("UTC"),
                ),
                Arc::new(BinaryArray::from(vec![Some(&[0xff, 0x00][..]), None, Some(&[][..])])),
            ],
        )
        .unwrap();
        let refused: Vec<RejectedRow> = (0..3)
            .map(|row| RejectedRow { row, kind: DeadLetterKind::Rejected, reason: format!("no {row}") })
            .collect();
        let letters = row_letters(&"step".into(), 0, BatchId(7), &rows, &refused).unwrap();
        for (i, letter) in letters.iter().enumerate() {
            assert_eq!(letter.reason, format!("no {i}"));
            let Payload::Row { text, .. } = &letter.payload else { panic!("a row") };
            assert_eq!(decode_row(text, &schema).unwrap(), rows.slice(i, 1), "{text}");
        }
    }

    #[test]
    fn a_letter_that_does_not_fit_is_explained() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let error = decode_row("{\"n\": \"x\"}", &schema).unwrap_err();
        assert!(error.contains("does not fit"), "{error}");
    }
}
