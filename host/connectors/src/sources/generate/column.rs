//! Makes the values of generated columns, a chunk at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow_schema::DataType;
use millstream_engine::batch::timestamp_us;
use millstream_engine::pipeline::SpecError;

use super::pool::{Pool, word};
use super::random::{below, number, unit};
use super::spec::ColumnSpec;

/// Different values a string column may have; they are kept in memory.
const CARDINALITY_MAX: u64 = 1_000_000;
/// Words a sentence may have.
const WORDS_MAX: u64 = 1000;
/// Microseconds between rows when nothing says how fast they come.
const EVERY_US: f64 = 1000.0;

/// A column, ready to be made.
#[derive(Debug)]
pub(crate) struct Column {
    stream: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sequence { start: i64 },
    Int { min: i64, span: u64 },
    Float { min: f64, width: f64 },
    Bool { below: u64 },
    Key { pool: Pool, skew: f64 },
    Text { pool: Pool, words: u64 },
    Timestamp { every_us: f64, jitter_us: u64, start_us: Option<i64> },
}

impl Column {
    /// Checks a column's keys.
    pub(crate) fn new(
        spec: &ColumnSpec,
        stream: u64,
        rows_per_second: Option<f64>,
    ) -> Result<Self, SpecError> {
        let kind = match spec {
            ColumnSpec::Sequence { start } => Kind::Sequence { start: *start },
            ColumnSpec::Int { min, max } if min <= max => Kind::Int { min: *min, span: max.abs_diff(*min) },
            ColumnSpec::Float { min, max } if min < max && (max - min).is_finite() => {
                Kind::Float { min: *min, width: max - min }
            }
            ColumnSpec::Int { .. } | ColumnSpec::Float { .. } => {
                return Err(SpecError::new("max", "it must be greater than `min`"));
            }
            ColumnSpec::Bool { share } => Kind::Bool { below: threshold(share.unwrap_or(0.5))? },
            ColumnSpec::Key { cardinality, prefix, skew } => {
                let prefix = prefix.as_deref().unwrap_or("key-");
                let pool = Pool::of(
                    (0..checked("cardinality", *cardinality, CARDINALITY_MAX)?)
                        .map(|i| format!("{prefix}{i}")),
                );
                Kind::Key { pool, skew: checked_skew(skew.unwrap_or(1.0))? }
            }
            ColumnSpec::Choice { values } => {
                checked("values", values.len() as u64, CARDINALITY_MAX)?;
                Kind::Key { pool: Pool::of(values.iter().cloned()), skew: 1.0 }
            }
            ColumnSpec::Text { words, vocabulary } => {
                let vocabulary = checked("vocabulary", vocabulary.unwrap_or(50_000), CARDINALITY_MAX)?;
                Kind::Text {
                    pool: Pool::of((0..vocabulary).map(word)),
                    words: checked("words", words.unwrap_or(10), WORDS_MAX)?,
                }
            }
            ColumnSpec::Timestamp { every_us, jitter_us, start_us } => {
                let every_us =
                    every_us.unwrap_or_else(|| rows_per_second.map_or(EVERY_US, |rate| 1_000_000.0 / rate));
                if !every_us.is_finite() || every_us < 0.0 {
                    return Err(SpecError::new("every_us", "it must be a number from 0 on"));
                }
                Kind::Timestamp { every_us, jitter_us: jitter_us.unwrap_or(0), start_us: *start_us }
            }
        };
        Ok(Self { stream, kind })
    }

    /// The column's type.
    pub(crate) fn data_type(&self) -> DataType {
        match self.kind {
            Kind::Sequence { .. } | Kind::Int { .. } => DataType::Int64,
            Kind::Float { .. } => DataType::Float64,
            Kind::Bool { .. } => DataType::Boolean,
            Kind::Key { .. } | Kind::Text { .. } => DataType::Utf8,
            Kind::Timestamp { .. } => timestamp_us(),
        }
    }

    /// About how many bytes a value has.
    pub(crate) fn value_bytes(&self) -> u64 {
        match &self.kind {
            Kind::Bool { .. } => 1,
            Kind::Key { pool, .. } => 4 + pool.mean_bytes(),
            Kind::Text { pool, words } => 4 + words * (pool.mean_bytes() + 1),
            _ => 8,
        }
    }

    /// The values of some rows; the source began at `began_us`.
    pub(crate) fn values(&self, rows: Range<u64>, began_us: i64) -> ArrayRef {
        let stream = self.stream;
        let count = usize::try_from(rows.end - rows.start).unwrap_or(0);
        match &self.kind {
            Kind::Sequence { start } => {
                Arc::new(Int64Array::from_iter_values(rows.map(|row| start.wrapping_add_unsigned(row))))
            }
            Kind::Int { min, span } => Arc::new(Int64Array::from_iter_values(rows.map(|row| {
                let number = number(stream, row);
                let above = if *span == u64::MAX { number } else { below(number, span + 1) };
                min.wrapping_add_unsigned(above)
            }))),
            Kind::Float { min, width } => Arc::new(Float64Array::from_iter_values(
                rows.map(|row| min + width * unit(number(stream, row))),
            )),
            Kind::Bool { below } => {
                Arc::new(rows.map(|row| Some(number(stream, row) < *below)).collect::<BooleanArray>())
            }
            Kind::Key { pool, skew } => {
                let mut values = StringBuilder::with_capacity(count, count * 16);
                for row in rows {
                    values.append_value(pool.get(choose(number(stream, row), pool.len(), *skew)));
                }
                Arc::new(values.finish())
            }
            Kind::Text { pool, words } => Arc::new(sentences(pool, *words, stream, rows).finish()),
            Kind::Timestamp { every_us, jitter_us, start_us } => {
                let start = start_us.unwrap_or(began_us);
                let times = rows.map(|row| {
                    #[allow(
                        clippy::cast_precision_loss,
                        clippy::cast_possible_truncation,
                        reason = "about is enough, and always the same"
                    )]
                    let step = (row as f64 * every_us) as i64;
                    let late = if *jitter_us == 0 { 0 } else { below(number(stream, row), *jitter_us) };
                    start.saturating_add(step).saturating_sub_unsigned(late)
                });
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
        }
    }
}

#[inline]
fn choose(number: u64, bound: u64, skew: f64) -> u64 {
    #[allow(clippy::float_cmp, reason = "exactly the default")]
    if skew == 1.0 {
        return below(number, bound);
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are small"
    )]
    let index = (unit(number).powf(skew) * bound as f64) as u64;
    index
}

fn sentences(pool: &Pool, words: u64, stream: u64, rows: Range<u64>) -> StringBuilder {
    let count = usize::try_from(rows.end - rows.start).unwrap_or(0);
    let mut values = StringBuilder::with_capacity(count, count * usize::try_from(words).unwrap_or(1) * 8);
    let mut sentence = String::new();
    for row in rows {
        sentence.clear();
        let line = number(stream, row);
        for word in 0..words {
            if word > 0 {
                sentence.push(' ');
            }
            sentence.push_str(pool.get(below(number(line, word), pool.len())));
        }
        values.append_value(&sentence);
    }
    values
}

fn checked(key: &str, value: u64, max: u64) -> Result<u64, SpecError> {
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(SpecError::new(key, format!("{value} is out of range: from 1 to {max}")))
}

fn checked_skew(skew: f64) -> Result<f64, SpecError> {
    if skew.is_finite() && skew > 0.0 { Ok(skew) } else { Err(SpecError::new("skew", "it must be above 0")) }
}

fn threshold(share: f64) -> Result<u64, SpecError> {
    if !(0.0..=1.0).contains(&share) {
        return Err(SpecError::new("share", "it must be from 0 to 1"));
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share; saturates"
    )]
    let threshold = (share * u64::MAX as f64) as u64;
    Ok(threshold)
}
