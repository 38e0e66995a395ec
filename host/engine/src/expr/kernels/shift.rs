//! Timestamps moved by an interval that is known at deployment.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::PrimitiveBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::ArrowError;
use chrono::{DateTime, Months};

use crate::batch::timestamp_us;
use crate::expr::value::{Args, Faults, Kernel};

/// An interval: months differ in length, so they stay apart. A day has 24 hours, as in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expr) struct Interval {
    pub(in crate::expr) months: i32,
    pub(in crate::expr) micros: i64,
}

impl Interval {
    /// The interval backwards, unless it is the longest there is.
    pub(in crate::expr) fn negated(self) -> Option<Self> {
        Some(Self { months: self.months.checked_neg()?, micros: self.micros.checked_neg()? })
    }

    fn add_to(self, micros: i64) -> Option<i64> {
        let moved = if self.months == 0 {
            micros
        } else {
            let months = Months::new(self.months.unsigned_abs());
            let at = DateTime::from_timestamp_micros(micros)?;
            let at =
                if self.months > 0 { at.checked_add_months(months) } else { at.checked_sub_months(months) };
            at?.timestamp_micros()
        };
        moved.checked_add(self.micros)
    }
}

/// The kernel that moves a timestamp.
pub(in crate::expr) fn shift(by: Interval) -> Kernel {
    Arc::new(move |args, faults| shifted(by, args, faults))
}

fn shifted(by: Interval, args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let column = args.values[0].array().as_primitive::<TimestampMicrosecondType>();
    let mut out = PrimitiveBuilder::<TimestampMicrosecondType>::with_capacity(args.rows);
    for (row, value) in column.iter().enumerate() {
        let moved = value.and_then(|micros| by.add_to(micros));
        if value.is_some() && moved.is_none() {
            faults.push(row, args.text, Cow::Borrowed("the result is outside the range of timestamps"));
        }
        out.append_option(moved);
    }
    Ok(Arc::new(out.finish().with_data_type(timestamp_us())))
}
