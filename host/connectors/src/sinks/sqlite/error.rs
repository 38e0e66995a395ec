//! SQLite's errors, told as what the pipeline's owner should do.

use std::path::Path;
use std::time::Duration;

use millstream_engine::sink::SinkError;
use millstream_engine::sqlite::is_full;
use rusqlite::{Error, ErrorCode};

/// Says what went wrong with the database at `path`, and whether trying again may help.
pub(super) fn sink_error(path: &Path, busy_timeout: Duration, error: &Error) -> SinkError {
    let path = path.display();
    if is_full(error) {
        return SinkError::Full(format!(
            "{path}: no space left: make room, the batch is tried again ({error})"
        ));
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SinkError::Transient(format!(
            "{path}: another program has been writing to the database for {} ms and still is; \
             the batch is tried again: end its transaction ({error})",
            busy_timeout.as_millis()
        )),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => SinkError::Permanent(format!(
            "{path} is no sound SQLite database: move it away or restore it ({error})"
        )),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            SinkError::Permanent(format!(
                "{path}: the table refuses a row of the batch: change the table or the rows ({error})"
            ))
        }
        // A changed or damaged table is looked at again when the batch is tried again.
        _ => SinkError::Transient(format!("{path}: {error}")),
    }
}
