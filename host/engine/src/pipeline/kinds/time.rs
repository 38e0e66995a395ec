//! Which column of a step's input says when a row happened.

use arrow_schema::{DataType, Schema};

use crate::batch::{EventTime, type_name};
use crate::pipeline::entry::Outlet;
use crate::pipeline::error::{SpecError, unknown_name};

/// The timestamp column of this name.
pub(crate) fn timestamp_column(schema: &Schema, name: &str) -> Result<usize, SpecError> {
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let index =
        schema.index_of(name).map_err(|_| SpecError::new("", unknown_name("column", name, &known)))?;
    match schema.field(index).data_type() {
        DataType::Timestamp(..) => Ok(index),
        other => {
            let message = format!(
                "`{name}` is {}, event time needs a timestamp: declare it as `timestamp`, or as `timestamp_ms` where \
                 the data has milliseconds since 1970",
                type_name(other)
            );
            Err(SpecError::new("", message))
        }
    }
}

/// The column that `on` names, or the event time that came with the rows.
pub(super) fn event_time(input: &Outlet, on: Option<&str>, path: &str) -> Result<EventTime, SpecError> {
    match (on, input.event_time) {
        (Some(name), _) => {
            let column = timestamp_column(&input.schema, name);
            column.map(EventTime::of_column).map_err(|error| error.under(&format!("{path}.on")))
        }
        (None, Some(time)) => Ok(time),
        (None, None) => {
            let message = "no event time reaches this step: give the source an `event_time`, keep that column on \
                           the way, or name a timestamp column with `on`";
            Err(SpecError::new(path, message))
        }
    }
}
