//! Functions of time. Timestamps are microseconds in UTC, so a day has 24 hours and nothing depends on
//! a time zone.

use std::fmt::Write;
use std::sync::Arc;

use arrow_arith::temporal::{DatePart, date_part};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::{ArrowError, DataType};
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate};

use super::output::{Missing, Numbers, Texts, numbers, texts};
use super::{Argument, Built, Function, Parameter};
use crate::batch::timestamp_us;
use crate::expr::kernels::cast::without_zone;
use crate::expr::kernels::shift::Interval;
use crate::expr::literal;
use crate::expr::value::{Args, Faults};

use Parameter::{Integer, Literal, Moment, Text};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

const OUT_OF_RANGE: &str = "the result is outside the range of timestamps";

pub(super) const TABLE: &[Function] = &[
    Function {
        name: "to_timestamp",
        signature: "to_timestamp(text in RFC 3339)",
        parameters: &[Text],
        required: 1,
        repeats: false,
        build: |_| Ok(timestamps(to_timestamp)),
    },
    Function {
        name: "to_timestamp_seconds",
        signature: "to_timestamp_seconds(integer)",
        parameters: &[Integer],
        required: 1,
        repeats: false,
        build: |_| Ok(scaled(SECOND)),
    },
    Function {
        name: "to_timestamp_millis",
        signature: "to_timestamp_millis(integer)",
        parameters: &[Integer],
        required: 1,
        repeats: false,
        build: |_| Ok(scaled(1_000)),
    },
    Function {
        name: "to_timestamp_micros",
        signature: "to_timestamp_micros(integer)",
        parameters: &[Integer],
        required: 1,
        repeats: false,
        build: |_| Ok(scaled(1)),
    },
    Function {
        name: "epoch",
        signature: "epoch(timestamp)",
        parameters: &[Moment],
        required: 1,
        repeats: false,
        build: |_| Ok(epoch(SECOND)),
    },
    Function {
        name: "epoch_millis",
        signature: "epoch_millis(timestamp)",
        parameters: &[Moment],
        required: 1,
        repeats: false,
        build: |_| Ok(epoch(1_000)),
    },
    Function {
        name: "epoch_micros",
        signature: "epoch_micros(timestamp)",
        parameters: &[Moment],
        required: 1,
        repeats: false,
        build: |_| Ok(epoch(1)),
    },
    Function {
        name: "date_trunc",
        signature: "date_trunc('unit', timestamp)",
        parameters: &[Literal, Moment],
        required: 2,
        repeats: false,
        build: date_trunc,
    },
    Function {
        name: "date_bin",
        signature: "date_bin('15 minutes', timestamp)",
        parameters: &[Literal, Moment],
        required: 2,
        repeats: false,
        build: date_bin,
    },
    Function {
        name: "date_part",
        signature: "date_part('field', timestamp)",
        parameters: &[Literal, Moment],
        required: 2,
        repeats: false,
        build: part,
    },
    Function {
        name: "to_char",
        signature: "to_char(timestamp, '%Y-%m-%d %H:%M:%S')",
        parameters: &[Moment, Literal],
        required: 2,
        repeats: false,
        build: to_char,
    },
];

fn timestamps(kernel: fn(&Args<'_>, &mut Faults) -> Result<ArrayRef, ArrowError>) -> Built {
    Built::new(timestamp_us(), Arc::new(kernel))
}

fn in_utc(array: PrimitiveArray<TimestampMicrosecondType>) -> ArrayRef {
    Arc::new(array.with_data_type(timestamp_us()))
}

/// Text without an offset means UTC.
fn to_timestamp(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let text = Texts::new(args, 0);
    Ok(in_utc(numbers::<TimestampMicrosecondType>(args, faults, |row| {
        let text = text.at(row);
        literal::timestamp_micros(text).ok_or_else(|| {
            const SHOWN_CHARS: usize = 40;
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            let cause = format!("'{shown}' is no timestamp like '2024-02-29T12:30:00Z'");
            Missing::Fault(format!("{cause}; TRY_CAST(... AS timestamp) gives NULL instead").into())
        })
    })))
}

fn scaled(micros: i64) -> Built {
    Built::new(
        timestamp_us(),
        Arc::new(move |args, faults| {
            let input = Numbers::<Int64Type>::new(args, 0);
            Ok(in_utc(numbers::<TimestampMicrosecondType>(args, faults, |row| {
                input.at(row).checked_mul(micros).ok_or(Missing::fault(OUT_OF_RANGE))
            })))
        }),
    )
}

/// Whole units since the epoch, towards the past.
fn epoch(micros: i64) -> Built {
    Built::new(
        DataType::Int64,
        Arc::new(move |args, _| {
            let input = args.values[0].array().as_primitive::<TimestampMicrosecondType>();
            Ok(Arc::new(input.unary::<_, Int64Type>(|at| at.div_euclid(micros))))
        }),
    )
}

/// A unit that moments are cut to.
#[derive(Clone, Copy)]
enum Unit {
    /// A fixed number of microseconds, counted from an origin.
    Fixed { micros: i64, origin: i64 },
    /// So many months, counted from a January.
    Months(u32),
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        let fixed = |micros| Some(Self::Fixed { micros, origin: 0 });
        match name.to_lowercase().as_str() {
            "microsecond" => fixed(1),
            "millisecond" => fixed(1_000),
            "second" => fixed(SECOND),
            "minute" => fixed(60 * SECOND),
            "hour" => fixed(HOUR),
            "day" => fixed(DAY),
            // 1969-12-29 was a Monday.
            "week" => Some(Self::Fixed { micros: 7 * DAY, origin: -3 * DAY }),
            "month" => Some(Self::Months(1)),
            "quarter" => Some(Self::Months(3)),
            "year" => Some(Self::Months(12)),
            _ => None,
        }
    }

    /// The last start of a unit that is not after the moment.
    fn start(self, at: i64) -> Option<i64> {
        match self {
            Self::Fixed { micros, origin } => at.checked_sub(at.checked_sub(origin)?.rem_euclid(micros)),
            Self::Months(months) => {
                let date = DateTime::from_timestamp_micros(at)?.date_naive();
                let start = NaiveDate::from_ymd_opt(date.year(), date.month0() / months * months + 1, 1)?;
                Some(start.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
            }
        }
    }
}

fn date_trunc(args: &[Argument<'_>]) -> Result<Built, String> {
    let unit = Unit::named(args[0].text()).ok_or_else(|| {
        format!(
            "date_trunc knows no unit '{}'; there are microsecond, millisecond, second, minute, hour, day, week, \
             month, quarter, year",
            args[0].text()
        )
    })?;
    Ok(cut(unit))
}

/// Bins are counted from 1970-01-01, as windows are.
fn date_bin(args: &[Argument<'_>]) -> Result<Built, String> {
    match literal::interval(args[0].text())? {
        Interval { months: 0, micros } if micros > 0 => Ok(cut(Unit::Fixed { micros, origin: 0 })),
        _ => Err("date_bin takes a positive interval without months; date_trunc cuts to months".to_owned()),
    }
}

fn cut(unit: Unit) -> Built {
    Built::new(
        timestamp_us(),
        Arc::new(move |args, faults| {
            let input = Numbers::<TimestampMicrosecondType>::new(args, 1);
            Ok(in_utc(numbers::<TimestampMicrosecondType>(args, faults, |row| {
                unit.start(input.at(row)).ok_or(Missing::fault(OUT_OF_RANGE))
            })))
        }),
    )
}

fn part(args: &[Argument<'_>]) -> Result<Built, String> {
    let field = args[0].text().to_lowercase();
    let part = match field.as_str() {
        "year" => DatePart::Year,
        "quarter" => DatePart::Quarter,
        "month" => DatePart::Month,
        "week" => DatePart::Week,
        "day" => DatePart::Day,
        "dow" | "dayofweek" => DatePart::DayOfWeekSunday0,
        "doy" | "dayofyear" => DatePart::DayOfYear,
        "hour" => DatePart::Hour,
        "minute" => DatePart::Minute,
        "second" => DatePart::Second,
        "millisecond" => DatePart::Millisecond,
        "microsecond" => DatePart::Microsecond,
        "epoch" => return Ok(seconds_of_second_argument()),
        _ => {
            return Err(format!(
                "date_part knows no field '{field}'; there are year, quarter, month, week, day, dow, doy, hour, \
                 minute, second, millisecond, microsecond, epoch"
            ));
        }
    };
    Ok(Built::new(
        DataType::Int64,
        Arc::new(move |args, _| {
            arrow_cast::cast(&date_part(&without_zone(args.values[1].array()), part)?, &DataType::Int64)
        }),
    ))
}

fn seconds_of_second_argument() -> Built {
    let seconds = epoch(SECOND);
    let kernel = seconds.kernel;
    Built::new(
        seconds.data_type,
        Arc::new(move |args, faults| kernel(&Args { values: &args.values[1..], ..*args }, faults)),
    )
}

fn to_char(args: &[Argument<'_>]) -> Result<Built, String> {
    let format = args[1].text();
    let items = StrftimeItems::new(format).map(Item::to_owned).collect::<Vec<_>>();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return Err(format!("'{format}' is no format of time; write it like '%Y-%m-%d %H:%M:%S'"));
    }
    let bytes_a_row = format.len() * 2;
    Ok(Built::new(
        DataType::Utf8,
        Arc::new(move |args, faults| {
            let input = Numbers::<TimestampMicrosecondType>::new(args, 0);
            let nulls = args.nulls();
            texts(args, nulls.as_ref(), faults, bytes_a_row * args.rows, |row, out| {
                let at = DateTime::from_timestamp_micros(input.at(row))
                    .ok_or(Missing::fault("this timestamp has no date"))?;
                write!(out, "{}", at.format_with_items(items.iter()))
                    .map_err(|_| Missing::fault("this timestamp cannot be written in the format"))
            })
        }),
    ))
}
