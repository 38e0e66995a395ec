//! SQLite's date functions with the batch's clock: a batch that runs again sees the same now. What depends
//! on the machine or on chance is refused.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, params_from_iter};

use crate::sqlite::CivilText;

/// A function, and its argument that is a time, without which it means now.
const DATES: [(&str, usize); 6] =
    [("date", 0), ("time", 0), ("datetime", 0), ("julianday", 0), ("unixepoch", 0), ("strftime", 1)];
/// What the words of SQL mean.
const WORDS: [(&str, &str); 3] =
    [("current_date", "date"), ("current_time", "time"), ("current_timestamp", "datetime")];

/// Functions that give something else when a batch runs again, and why.
pub(super) const REFUSED: [(&str, &str); 7] = [
    (
        "random",
        "gives something else when a batch runs again: number rows in a `generate` source or a plugin",
    ),
    ("randomblob", "gives something else when a batch runs again"),
    ("last_insert_rowid", "is about tables that the step keeps for itself"),
    ("changes", "is about tables that the step keeps for itself"),
    ("total_changes", "is about tables that the step keeps for itself"),
    ("load_extension", "would load a program"),
    ("fts3_tokenizer", "would load a program"),
];

/// Puts date functions that live by `now_us` in the place of SQLite's own, which still do the work in a
/// database beside this one.
pub(super) fn register(db: &Connection, now_us: &Arc<AtomicI64>) -> rusqlite::Result<()> {
    let own = Arc::new(Mutex::new(Connection::open_in_memory()?));
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, time_at) in DATES {
        let (own, now_us) = (Arc::clone(&own), Arc::clone(now_us));
        db.create_scalar_function(name, -1, flags, move |ctx| {
            call(&own, name, &arguments(ctx, time_at, &now_us)?)
        })?;
    }
    for (word, function) in WORDS {
        let (own, now_us) = (Arc::clone(&own), Arc::clone(now_us));
        db.create_scalar_function(word, 0, flags, move |_| call(&own, function, &[now(&now_us)]))?;
    }
    db.create_scalar_function("timediff", 2, flags, {
        let now_us = Arc::clone(now_us);
        move |ctx| {
            let later = arguments(ctx, 0, &now_us)?;
            let both = [later[0].clone(), time(ctx.get_raw(1), &now_us)];
            call(&own, "timediff", &both)
        }
    })
}

fn call(own: &Mutex<Connection>, function: &str, arguments: &[Value]) -> rusqlite::Result<Value> {
    let own = own.lock().unwrap_or_else(PoisonError::into_inner);
    let places = vec!["?"; arguments.len()].join(", ");
    let mut statement = own.prepare_cached(&format!("SELECT {function}({places})"))?;
    statement.query_row(params_from_iter(arguments.iter().map(borrowed)), |row| row.get(0))
}

fn borrowed(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::from(value))
}

/// The arguments with the batch's time where SQLite would take the machine's.
fn arguments(ctx: &Context<'_>, time_at: usize, now_us: &AtomicI64) -> rusqlite::Result<Vec<Value>> {
    let mut all = Vec::with_capacity(ctx.len() + 1);
    for place in 0..ctx.len() {
        let value = ctx.get_raw(place);
        if place == time_at && is_one_of(value, &["subsec", "subsecond"]) {
            all.push(now(now_us));
        }
        if is_one_of(value, &["localtime", "utc"]) {
            let message = "`localtime` and `utc` depend on the machine's time zone: add the hours yourself, as in '+2 hours'";
            return Err(Error::UserFunctionError(message.into()));
        }
        all.push(if place == time_at { time(value, now_us) } else { Value::from_raw(value) });
    }
    if all.len() == time_at {
        all.push(now(now_us));
    }
    Ok(all)
}

fn time(value: ValueRef<'_>, now_us: &AtomicI64) -> Value {
    if is_one_of(value, &["now"]) { now(now_us) } else { Value::from_raw(value) }
}

fn now(now_us: &AtomicI64) -> Value {
    Value::Text(CivilText::default().timestamp(now_us.load(Ordering::Relaxed)).to_owned())
}

fn is_one_of(value: ValueRef<'_>, words: &[&str]) -> bool {
    let ValueRef::Text(text) = value else { return false };
    words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}

/// A value of a call that outlives it.
trait FromRaw {
    fn from_raw(value: ValueRef<'_>) -> Self;
}

impl FromRaw for Value {
    /// Text that is not UTF-8 is no date in any form.
    fn from_raw(value: ValueRef<'_>) -> Self {
        Self::try_from(value).unwrap_or(Self::Null)
    }
}
